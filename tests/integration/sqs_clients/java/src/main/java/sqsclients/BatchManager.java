package sqsclients;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import software.amazon.awssdk.services.sqs.SqsAsyncClient;
import software.amazon.awssdk.services.sqs.batchmanager.SqsAsyncBatchManager;
import software.amazon.awssdk.services.sqs.model.Message;
import software.amazon.awssdk.services.sqs.model.SqsException;

/** BatchManager endpoint name: single calls on the SDK's own batching manager, which makes batches of them. */
public final class BatchManager {
    private static final int MESSAGES = 50;
    private static final Duration WAIT = Duration.ofSeconds(5);

    private BatchManager() {}

    public static void main(String[] arguments) {
        try (SqsAsyncClient client = Clients.async(arguments[0]);
                SqsAsyncBatchManager manager = client.batchManager()) {
            String url = client.createQueue(request -> request.queueName(arguments[1])).join().queueUrl();
            List<CompletableFuture<String>> sending = new ArrayList<>();
            for (String body : bodies()) {
                sending.add(manager.sendMessage(request -> request.queueUrl(url).messageBody(body))
                        .thenApply(sent -> sent.messageId())
                        .exceptionally(BatchManager::code));
            }
            Set<String> answers = new TreeSet<>();
            sending.forEach(answer -> answers.add(answer.join()));
            boolean refused = answers.remove("InvalidMessageContents");
            System.out.println("sent " + answers.size() + " refused " + refused);

            Set<String> seen = new TreeSet<>();
            List<CompletableFuture<?>> deleting = new ArrayList<>();
            while (seen.size() < MESSAGES) {
                for (Message message : manager.receiveMessage(request -> request.queueUrl(url)
                                .maxNumberOfMessages(10)
                                .waitTimeSeconds((int) WAIT.toSeconds()))
                        .join()
                        .messages()) {
                    seen.add(message.body());
                    deleting.add(manager.changeMessageVisibility(request -> request.queueUrl(url)
                                    .receiptHandle(message.receiptHandle())
                                    .visibilityTimeout(60))
                            .thenCompose(extended -> manager.deleteMessage(
                                    request -> request.queueUrl(url).receiptHandle(message.receiptHandle()))));
                }
            }
            deleting.forEach(CompletableFuture::join);
            try (var blocking = Clients.blocking(arguments[0])) {
                System.out.println("consumed " + seen.size() + " left " + Clients.left(blocking, url));
            }
        }
    }

    /** So many good ones, and one that the API refuses, which must fail alone. */
    private static List<String> bodies() {
        List<String> bodies = new ArrayList<>(IntStream.range(0, MESSAGES).mapToObj(n -> "m" + n).toList());
        bodies.add(MESSAGES / 2, "\u0001");
        return bodies;
    }

    private static String code(Throwable fault) {
        Throwable cause = fault.getCause() == null ? fault : fault.getCause();
        if (cause instanceof SqsException refused) {
            return refused.awsErrorDetails().errorCode();
        }
        return cause.toString();
    }
}
