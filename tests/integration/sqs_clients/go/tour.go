package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
)

type queues struct{ main, dead, deadArn, fifo *string }

func tour() {
	made := createAll()
	oneMessage(made.main)
	batches(made.main)
	longPoll(made.main)
	inOrder(made.fifo)
	deadLetter(made)
	refusals(made.main)
	theEnd(made)
}

func createAll() queues {
	dead := create(name+"-dead", nil, nil)
	deadArn := attributesOf(dead, types.QueueAttributeNameQueueArn)["QueueArn"]
	policy := fmt.Sprintf(`{"deadLetterTargetArn": %q, "maxReceiveCount": 2}`, deadArn)
	wanted := map[string]string{"VisibilityTimeout": "30", "RedrivePolicy": policy}
	main := create(name, wanted, map[string]string{"team": "orders"})
	fmt.Println("queue", *main)
	settings := attributesOf(main, types.QueueAttributeNameAll)
	var redrive struct{ MaxReceiveCount json.Number }
	if err := json.Unmarshal([]byte(settings["RedrivePolicy"]), &redrive); err != nil {
		log.Fatal(err)
	}
	tags := must(client.ListQueueTags(ctx, &sqs.ListQueueTagsInput{QueueUrl: main})).Tags
	fmt.Printf("settings VisibilityTimeout=%s maxReceiveCount=%s team=%s\n",
		settings["VisibilityTimeout"], redrive.MaxReceiveCount, tags["team"])
	kind := map[string]string{"FifoQueue": "true", "ContentBasedDeduplication": "true"}
	fifo := create(name+".fifo", kind, nil)
	fmt.Print("listed")
	for _, url := range must(client.ListQueues(ctx, &sqs.ListQueuesInput{QueueNamePrefix: &name})).QueueUrls {
		fmt.Print(" ", last(url))
	}
	fmt.Println()
	return queues{main, dead, &deadArn, fifo}
}

func send(url *string, body string) {
	must(client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: url, MessageBody: &body}))
}

// receive takes what is there at once, with all that belongs to it.
func receive(url *string, options ...func(*sqs.ReceiveMessageInput)) []types.Message {
	input := &sqs.ReceiveMessageInput{
		QueueUrl:                    url,
		MessageAttributeNames:       []string{"All"},
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"},
	}
	for _, option := range options {
		option(input)
	}
	return must(client.ReceiveMessage(ctx, input)).Messages
}

func waiting(input *sqs.ReceiveMessageInput)   { input.WaitTimeSeconds = 20 }
func tenAtMost(input *sqs.ReceiveMessageInput) { input.MaxNumberOfMessages = 10 }
func twoAtMost(input *sqs.ReceiveMessageInput) { input.MaxNumberOfMessages = 2 }

// giveBack makes a message visible at once. (The SDK for Go sends no VisibilityTimeout of 0 with a receive.)
func giveBack(url *string, message types.Message) {
	must(client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
		QueueUrl: url, ReceiptHandle: message.ReceiptHandle, VisibilityTimeout: 0,
	}))
}

func remove(url *string, message types.Message) {
	must(client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: message.ReceiptHandle}))
}

func left(url *string) int {
	sum := 0
	for _, count := range attributesOf(url, "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible") {
		sum += must(strconv.Atoi(count))
	}
	return sum
}

func oneMessage(main *string) {
	sent := must(client.SendMessage(ctx, &sqs.SendMessageInput{
		QueueUrl:    main,
		MessageBody: aws.String("hello <&> é😀"),
		MessageAttributes: map[string]types.MessageAttributeValue{
			"text":  {DataType: aws.String("String"), StringValue: aws.String("x & y")},
			"count": {DataType: aws.String("Number"), StringValue: aws.String("12")},
			"raw":   {DataType: aws.String("Binary"), BinaryValue: []byte{0xc3, 0xa9}},
		},
	}))
	fmt.Println("sent", *sent.MD5OfMessageBody, *sent.MD5OfMessageAttributes)
	first := receive(main)[0]
	given := first.MessageAttributes
	fmt.Println("received", *first.Body)
	fmt.Printf("attributes text=%s count=%s raw=%x\n",
		*given["text"].StringValue, *given["count"].StringValue, given["raw"].BinaryValue)
	fmt.Println("invisible", len(receive(main)))
	giveBack(main, first)
	second := receive(main)[0]
	count := string(types.MessageSystemAttributeNameApproximateReceiveCount)
	fmt.Println("delivery", first.Attributes[count], second.Attributes[count])
	remove(main, second)
	fmt.Println("left", left(main))
}

func batches(main *string) {
	var entries []types.SendMessageBatchRequestEntry
	for _, pair := range [][2]string{{"a", "first"}, {"b", "second"}, {"bad", "\u0001"}} {
		entries = append(entries, types.SendMessageBatchRequestEntry{Id: &pair[0], MessageBody: &pair[1]})
	}
	sent := must(client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: main, Entries: entries}))
	var ids []string
	for _, entry := range sent.Successful {
		ids = append(ids, *entry.Id)
	}
	tellOutcome("batch sent", ids, sent.Failed)
	messages := receive(main, tenAtMost)
	sort.Slice(messages, func(i, j int) bool { return *messages[i].Body < *messages[j].Body })
	fmt.Print("batch received")
	var longer []types.ChangeMessageVisibilityBatchRequestEntry
	var gone []types.DeleteMessageBatchRequestEntry
	handle := func(id string, receipt *string) {
		longer = append(longer, types.ChangeMessageVisibilityBatchRequestEntry{
			Id: &id, ReceiptHandle: receipt, VisibilityTimeout: 60,
		})
		gone = append(gone, types.DeleteMessageBatchRequestEntry{Id: &id, ReceiptHandle: receipt})
	}
	for n, message := range messages {
		fmt.Print(" ", *message.Body)
		handle(strconv.Itoa(n), message.ReceiptHandle)
	}
	fmt.Println()
	handle("bad", aws.String("garbage"))
	extended := must(client.ChangeMessageVisibilityBatch(ctx, &sqs.ChangeMessageVisibilityBatchInput{
		QueueUrl: main, Entries: longer,
	}))
	ids = nil
	for _, entry := range extended.Successful {
		ids = append(ids, *entry.Id)
	}
	tellOutcome("batch extended", ids, extended.Failed)
	deleted := must(client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: main, Entries: gone}))
	ids = nil
	for _, entry := range deleted.Successful {
		ids = append(ids, *entry.Id)
	}
	tellOutcome("batch deleted", ids, deleted.Failed)
}

func tellOutcome(what string, ids []string, failed []types.BatchResultErrorEntry) {
	sort.Strings(ids)
	fmt.Print(what, " ", strings.Join(ids, " "), " refused")
	for _, entry := range failed {
		fmt.Print(" ", *entry.Id, " ", *entry.Code)
	}
	fmt.Println()
}

func longPoll(main *string) {
	go func() {
		time.Sleep(300 * time.Millisecond)
		send(main, "late")
	}()
	message := receive(main, waiting)[0]
	fmt.Println("long poll", *message.Body)
	remove(main, message)
}

func inOrder(fifo *string) {
	for _, body := range []string{"1", "2", "2", "3"} {
		input := &sqs.SendMessageInput{QueueUrl: fifo, MessageBody: &body, MessageGroupId: aws.String("g")}
		must(client.SendMessage(ctx, input))
	}
	fmt.Print("in order")
	for _, message := range receive(fifo, twoAtMost) {
		fmt.Print(" ", *message.Body)
	}
	fmt.Println(" then", len(receive(fifo)))
}

func deadLetter(made queues) {
	send(made.main, "poison")
	for range 2 {
		giveBack(made.main, receive(made.main, waiting)[0])
	}
	dead := receive(made.dead, waiting)[0]
	source := dead.Attributes[string(types.MessageSystemAttributeNameDeadLetterQueueSourceArn)]
	fmt.Println("dead", *dead.Body, "from", last(source))
	giveBack(made.dead, dead)
	must(client.StartMessageMoveTask(ctx, &sqs.StartMessageMoveTaskInput{SourceArn: made.deadArn}))
	fmt.Println("moved", *receive(made.main, waiting)[0].Body)
}

// refused tells the name of the exception that a call got, which must be the SDK's own type for it.
func refused[E smithy.APIError, T any](_ T, err error) string {
	var exception E
	if !errors.As(err, &exception) {
		log.Fatalf("expected a %T, and it was %v", exception, err)
	}
	return last(strings.ReplaceAll(fmt.Sprintf("%T", exception), ".", "/"))
}

func refusals(main *string) {
	nowhere := name + "-nowhere"
	fmt.Println("refused",
		refused[*types.QueueDoesNotExist](client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &nowhere})),
		refused[*types.QueueNameExists](client.CreateQueue(ctx, &sqs.CreateQueueInput{
			QueueName: &name, Attributes: map[string]string{"DelaySeconds": "9"},
		})),
		refused[*types.ReceiptHandleIsInvalid](client.DeleteMessage(ctx, &sqs.DeleteMessageInput{
			QueueUrl: main, ReceiptHandle: aws.String("garbage"),
		})),
		refused[*types.EmptyBatchRequest](client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{
			QueueUrl: main, Entries: []types.DeleteMessageBatchRequestEntry{},
		})),
		refused[*types.InvalidAttributeName](client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
			QueueUrl: main, AttributeNames: []types.QueueAttributeName{"Colour"},
		})),
	)
}

func theEnd(made queues) {
	must(client.PurgeQueue(ctx, &sqs.PurgeQueueInput{QueueUrl: made.main}))
	fmt.Println("purged", left(made.main))
	again, err := client.PurgeQueue(ctx, &sqs.PurgeQueueInput{QueueUrl: made.main})
	fmt.Println("refused", refused[*types.PurgeQueueInProgress](again, err))
	for _, url := range []*string{made.main, made.dead, made.fifo} {
		must(client.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: url}))
	}
	sent, err := client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: made.main, MessageBody: aws.String("x")})
	fmt.Println("gone", refused[*types.QueueDoesNotExist](sent, err))
}
