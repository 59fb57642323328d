package sqsclients;

import io.awspring.cloud.sqs.listener.SqsMessageListenerContainer;
import io.awspring.cloud.sqs.listener.Visibility;
import io.awspring.cloud.sqs.listener.acknowledgement.AcknowledgementResultCallback;
import java.time.Duration;
import java.util.Collection;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.springframework.messaging.Message;
import software.amazon.awssdk.services.sqs.SqsAsyncClient;
import software.amazon.awssdk.services.sqs.model.SendMessageBatchRequestEntry;

/**
 * Listener endpoint name: the listener container of Spring Cloud AWS over 100 messages. It polls in parallel and
 * acknowledges in batches; one message fails at first, and one outlasts the visibility that it was received with.
 */
public final class Listener {
    private static final int MESSAGES = 100;
    private static final int VISIBILITY_S = 2;
    private static final int WAIT_S_MAX = 60;

    private final Map<String, Integer> deliveries = new ConcurrentHashMap<>();
    private final CountDownLatch unacknowledged = new CountDownLatch(MESSAGES);

    private Listener() {}

    public static void main(String[] arguments) throws InterruptedException {
        try (SqsAsyncClient client = Clients.async(arguments[0])) {
            String url = client.createQueue(request -> request.queueName(arguments[1])).join().queueUrl();
            for (int from = 0; from < MESSAGES; from += 10) {
                send(client, url, from);
            }
            Listener listener = new Listener();
            listener.consume(client, arguments[1]);
            System.out.println("consumed " + listener.deliveries.size());
            System.out.println("deliveries slow=" + listener.deliveries.get("slow") + " flaky="
                    + listener.deliveries.get("flaky") + " m2=" + listener.deliveries.get("m2"));
            try (var blocking = Clients.blocking(arguments[0])) {
                System.out.println("left " + Clients.left(blocking, url));
            }
        }
    }

    private static void send(SqsAsyncClient client, String url, int from) {
        SendMessageBatchRequestEntry[] entries = new SendMessageBatchRequestEntry[10];
        for (int n = 0; n < entries.length; n++) {
            int number = from + n;
            String body = number == 0 ? "slow" : number == 1 ? "flaky" : "m" + number;
            entries[n] = SendMessageBatchRequestEntry.builder()
                    .id(String.valueOf(n))
                    .messageBody(body)
                    .build();
        }
        client.sendMessageBatch(request -> request.queueUrl(url).entries(entries)).join();
    }

    private void consume(SqsAsyncClient client, String queue) throws InterruptedException {
        SqsMessageListenerContainer<String> container = SqsMessageListenerContainer.<String>builder()
                .sqsAsyncClient(client)
                .queueNames(queue)
                .configure(options -> options.maxMessagesPerPoll(10)
                        .maxConcurrentMessages(40)
                        .pollTimeout(Duration.ofSeconds(10))
                        .messageVisibility(Duration.ofSeconds(VISIBILITY_S))
                        .acknowledgementInterval(Duration.ofMillis(200))
                        .acknowledgementThreshold(10))
                .messageListener(this::handle)
                .acknowledgementResultCallback(new AcknowledgementResultCallback<>() {
                    @Override
                    public void onSuccess(Collection<Message<String>> messages) {
                        messages.forEach(message -> unacknowledged.countDown());
                    }
                })
                .build();
        container.start();
        try {
            if (!unacknowledged.await(WAIT_S_MAX, TimeUnit.SECONDS)) {
                throw new IllegalStateException(unacknowledged.getCount() + " are not acknowledged");
            }
        } finally {
            container.stop();
        }
    }

    private void handle(Message<String> message) {
        int delivery = deliveries.merge(message.getPayload(), 1, Integer::sum);
        if (message.getPayload().equals("flaky") && delivery == 1) {
            throw new IllegalStateException("not yet");
        }
        if (message.getPayload().equals("slow")) {
            message.getHeaders().get("Sqs_VisibilityTimeout", Visibility.class).changeTo(30);
            sleep(Duration.ofSeconds(VISIBILITY_S).plusMillis(500));
        }
    }

    private static void sleep(Duration duration) {
        try {
            Thread.sleep(duration.toMillis());
        } catch (InterruptedException interrupted) {
            throw new IllegalStateException(interrupted);
        }
    }
}
