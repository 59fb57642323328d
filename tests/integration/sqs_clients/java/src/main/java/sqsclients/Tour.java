package sqsclients;

import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.services.sqs.SqsClient;
import software.amazon.awssdk.services.sqs.model.BatchResultErrorEntry;
import software.amazon.awssdk.services.sqs.model.ChangeMessageVisibilityBatchRequestEntry;
import software.amazon.awssdk.services.sqs.model.DeleteMessageBatchRequestEntry;
import software.amazon.awssdk.services.sqs.model.EmptyBatchRequestException;
import software.amazon.awssdk.services.sqs.model.InvalidAttributeNameException;
import software.amazon.awssdk.services.sqs.model.Message;
import software.amazon.awssdk.services.sqs.model.MessageAttributeValue;
import software.amazon.awssdk.services.sqs.model.MessageSystemAttributeName;
import software.amazon.awssdk.services.sqs.model.PurgeQueueInProgressException;
import software.amazon.awssdk.services.sqs.model.QueueAttributeName;
import software.amazon.awssdk.services.sqs.model.QueueDoesNotExistException;
import software.amazon.awssdk.services.sqs.model.QueueNameExistsException;
import software.amazon.awssdk.services.sqs.model.ReceiptHandleIsInvalidException;
import software.amazon.awssdk.services.sqs.model.ReceiveMessageRequest;
import software.amazon.awssdk.services.sqs.model.SendMessageBatchRequestEntry;
import software.amazon.awssdk.services.sqs.model.SqsException;

/** Tour endpoint name: what the AWS SDK for Java v2 does with queues of this name, told line by line. */
public final class Tour {
    private static final Pattern DELIVERIES = Pattern.compile("\"maxReceiveCount\"\\s*:\\s*\"?(\\d+)");

    private static final PrintStream OUT = new PrintStream(System.out, true, StandardCharsets.UTF_8);

    private final SqsClient client;
    private final String name;
    private String main;
    private String dead;
    private String deadArn;
    private String fifo;

    private Tour(SqsClient client, String name) {
        this.client = client;
        this.name = name;
    }

    public static void main(String[] arguments) {
        try (SqsClient client = Clients.blocking(arguments[0])) {
            Tour tour = new Tour(client, arguments[1]);
            tour.queues();
            tour.oneMessage();
            tour.batches();
            tour.longPoll();
            tour.inOrder();
            tour.deadLetter();
            tour.refusals();
            tour.theEnd();
        }
    }

    private void queues() {
        dead = client.createQueue(request -> request.queueName(name + "-dead")).queueUrl();
        deadArn = attributes(dead).get(QueueAttributeName.QUEUE_ARN);
        String policy = "{\"deadLetterTargetArn\": \"" + deadArn + "\", \"maxReceiveCount\": 2}";
        main = client.createQueue(request -> request.queueName(name)
                        .attributes(Map.of(
                                QueueAttributeName.VISIBILITY_TIMEOUT, "30",
                                QueueAttributeName.REDRIVE_POLICY, policy))
                        .tags(Map.of("team", "orders")))
                .queueUrl();
        tell("queue", main);
        Map<QueueAttributeName, String> settings = attributes(main);
        Matcher deliveries = DELIVERIES.matcher(settings.get(QueueAttributeName.REDRIVE_POLICY));
        deliveries.find();
        Map<String, String> tags = client.listQueueTags(request -> request.queueUrl(main)).tags();
        tell(
                "settings",
                "VisibilityTimeout=" + settings.get(QueueAttributeName.VISIBILITY_TIMEOUT),
                "maxReceiveCount=" + deliveries.group(1),
                "team=" + tags.get("team"));
        fifo = client.createQueue(request -> request.queueName(name + ".fifo")
                        .attributes(Map.of(
                                QueueAttributeName.FIFO_QUEUE, "true",
                                QueueAttributeName.CONTENT_BASED_DEDUPLICATION, "true")))
                .queueUrl();
        Stream<String> listed =
                client.listQueues(request -> request.queueNamePrefix(name)).queueUrls().stream();
        tell("listed", listed.map(Tour::last).collect(Collectors.joining(" ")));
    }

    private void oneMessage() {
        var sent = client.sendMessage(request -> request.queueUrl(main)
                .messageBody("hello <&> é😀")
                .messageAttributes(Map.of(
                        "text", attribute("String").stringValue("x & y").build(),
                        "count", attribute("Number").stringValue("12").build(),
                        "raw",
                                attribute("Binary")
                                        .binaryValue(SdkBytes.fromUtf8String("é"))
                                        .build())));
        tell("sent", sent.md5OfMessageBody(), sent.md5OfMessageAttributes());
        Message first = receive(main).get(0);
        Map<String, MessageAttributeValue> given = first.messageAttributes();
        tell("received", first.body());
        tell(
                "attributes",
                "text=" + given.get("text").stringValue(),
                "count=" + given.get("count").stringValue(),
                "raw=" + HexFormat.of().formatHex(given.get("raw").binaryValue().asByteArray()));
        tell("invisible", receive(main).size());
        client.changeMessageVisibility(
                request -> request.queueUrl(main).receiptHandle(first.receiptHandle()).visibilityTimeout(0));
        Message second = receive(main).get(0);
        var count = MessageSystemAttributeName.APPROXIMATE_RECEIVE_COUNT;
        tell("delivery", first.attributes().get(count), second.attributes().get(count));
        delete(main, second);
        tell("left", Clients.left(client, main));
    }

    private void batches() {
        List<SendMessageBatchRequestEntry> entries = Stream.of("a first", "b second", "bad \u0001")
                .map(text -> text.split(" "))
                .map(words -> SendMessageBatchRequestEntry.builder()
                        .id(words[0])
                        .messageBody(words[1])
                        .build())
                .toList();
        var sent = client.sendMessageBatch(request -> request.queueUrl(main).entries(entries));
        tellOutcome("batch sent", sent.successful().stream().map(entry -> entry.id()), sent.failed());
        List<Message> messages = receive(main, request -> request.maxNumberOfMessages(10));
        tell("batch received", messages.stream().map(Message::body).sorted().collect(Collectors.joining(" ")));
        List<ChangeMessageVisibilityBatchRequestEntry> longer = new ArrayList<>();
        List<DeleteMessageBatchRequestEntry> gone = new ArrayList<>();
        for (int n = 0; n <= messages.size(); n++) {
            String id = n < messages.size() ? String.valueOf(n) : "bad";
            String handle = n < messages.size() ? messages.get(n).receiptHandle() : "garbage";
            longer.add(ChangeMessageVisibilityBatchRequestEntry.builder()
                    .id(id)
                    .receiptHandle(handle)
                    .visibilityTimeout(60)
                    .build());
            gone.add(DeleteMessageBatchRequestEntry.builder().id(id).receiptHandle(handle).build());
        }
        var extended = client.changeMessageVisibilityBatch(request -> request.queueUrl(main).entries(longer));
        tellOutcome("batch extended", extended.successful().stream().map(entry -> entry.id()), extended.failed());
        var deleted = client.deleteMessageBatch(request -> request.queueUrl(main).entries(gone));
        tellOutcome("batch deleted", deleted.successful().stream().map(entry -> entry.id()), deleted.failed());
    }

    private void longPoll() {
        var soon = CompletableFuture.delayedExecutor(300, TimeUnit.MILLISECONDS);
        var sending = CompletableFuture.runAsync(() -> send(main, "late"), soon);
        Message message = receive(main, Tour::waiting).get(0);
        sending.join();
        tell("long poll", message.body());
        delete(main, message);
    }

    private void inOrder() {
        for (String body : List.of("1", "2", "2", "3")) {
            client.sendMessage(request -> request.queueUrl(fifo).messageBody(body).messageGroupId("g"));
        }
        List<Message> messages = receive(fifo, request -> request.maxNumberOfMessages(2));
        String bodies = messages.stream().map(Message::body).collect(Collectors.joining(" "));
        tell("in order", bodies, "then", receive(fifo).size());
    }

    private void deadLetter() {
        send(main, "poison");
        for (int delivery = 0; delivery < 2; delivery++) {
            receive(main, request -> waiting(request.visibilityTimeout(0)));
        }
        Message message = receive(dead, request -> waiting(request.visibilityTimeout(0))).get(0);
        String source = message.attributes().get(MessageSystemAttributeName.DEAD_LETTER_QUEUE_SOURCE_ARN);
        tell("dead", message.body(), "from", last(source));
        client.startMessageMoveTask(request -> request.sourceArn(deadArn));
        tell("moved", receive(main, Tour::waiting).get(0).body());
    }

    private void refusals() {
        tell(
                "refused",
                refusal(
                        QueueDoesNotExistException.class,
                        () -> client.getQueueUrl(request -> request.queueName(name + "-nowhere"))),
                refusal(
                        QueueNameExistsException.class,
                        () -> client.createQueue(request -> request.queueName(name)
                                .attributes(Map.of(QueueAttributeName.DELAY_SECONDS, "9")))),
                refusal(
                        ReceiptHandleIsInvalidException.class,
                        () -> client.deleteMessage(request -> request.queueUrl(main).receiptHandle("garbage"))),
                refusal(
                        EmptyBatchRequestException.class,
                        () -> client.deleteMessageBatch(request -> request.queueUrl(main).entries(List.of()))),
                refusal(
                        InvalidAttributeNameException.class,
                        () -> client.getQueueAttributes(
                                request -> request.queueUrl(main).attributeNamesWithStrings("Colour"))));
    }

    private void theEnd() {
        client.purgeQueue(request -> request.queueUrl(main));
        tell("purged", Clients.left(client, main));
        Runnable again = () -> client.purgeQueue(request -> request.queueUrl(main));
        tell("refused", refusal(PurgeQueueInProgressException.class, again));
        for (String url : List.of(main, dead, fifo)) {
            client.deleteQueue(request -> request.queueUrl(url));
        }
        tell("gone", refusal(QueueDoesNotExistException.class, () -> send(main, "x")));
    }

    private void send(String url, String body) {
        client.sendMessage(request -> request.queueUrl(url).messageBody(body));
    }

    private void delete(String url, Message message) {
        client.deleteMessage(request -> request.queueUrl(url).receiptHandle(message.receiptHandle()));
    }

    private List<Message> receive(String url) {
        return receive(url, request -> {});
    }

    private List<Message> receive(String url, Consumer<ReceiveMessageRequest.Builder> options) {
        return client.receiveMessage(request -> {
                    request.queueUrl(url)
                            .messageAttributeNames("All")
                            .messageSystemAttributeNames(MessageSystemAttributeName.ALL);
                    options.accept(request);
                })
                .messages();
    }

    private static void waiting(ReceiveMessageRequest.Builder request) {
        request.waitTimeSeconds(20);
    }

    private Map<QueueAttributeName, String> attributes(String url) {
        return client.getQueueAttributes(
                        request -> request.queueUrl(url).attributeNames(QueueAttributeName.ALL))
                .attributes();
    }

    private static MessageAttributeValue.Builder attribute(String type) {
        return MessageAttributeValue.builder().dataType(type);
    }

    private static String refusal(Class<? extends SqsException> exception, Runnable call) {
        try {
            call.run();
        } catch (SqsException refused) {
            if (!exception.isInstance(refused)) {
                throw refused;
            }
            return refused.getClass().getSimpleName().replaceFirst("Exception$", "");
        }
        throw new IllegalStateException("no " + exception.getSimpleName());
    }

    private static void tellOutcome(String what, Stream<String> done, List<BatchResultErrorEntry> failed) {
        String ids = done.sorted().collect(Collectors.joining(" "));
        String codes = failed.stream().map(entry -> entry.id() + " " + entry.code()).collect(Collectors.joining(" "));
        tell(what, ids, "refused", codes);
    }

    private static String last(String text) {
        return text.substring(Math.max(text.lastIndexOf('/'), text.lastIndexOf(':')) + 1);
    }

    private static void tell(Object... words) {
        OUT.println(Stream.of(words).map(String::valueOf).collect(Collectors.joining(" ")));
    }
}
