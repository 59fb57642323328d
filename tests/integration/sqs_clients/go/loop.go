package main

import (
	"fmt"
	"sort"
	"strconv"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

const (
	messages = 100
	polls    = 4
)

// loop sends in batches of ten and consumes with several long polls at a time, each of which deletes in batches.
func loop() {
	url := create(name, nil, nil)
	for from := 0; from < messages; from += 10 {
		var entries []types.SendMessageBatchRequestEntry
		for n := from; n < from+10; n++ {
			id := strconv.Itoa(n)
			entries = append(entries, types.SendMessageBatchRequestEntry{Id: &id, MessageBody: &id})
		}
		must(client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: url, Entries: entries}))
	}
	var lock sync.Mutex
	var group sync.WaitGroup
	seen := map[string]int{}
	unfinished := func() bool {
		lock.Lock()
		defer lock.Unlock()
		return len(seen) < messages
	}
	for range polls {
		group.Add(1)
		go func() {
			defer group.Done()
			for unfinished() {
				consume(url, func(body string) {
					lock.Lock()
					defer lock.Unlock()
					seen[body]++
				})
			}
		}()
	}
	group.Wait()
	var twice []string
	for body, times := range seen {
		if times > 1 {
			twice = append(twice, body)
		}
	}
	sort.Strings(twice)
	fmt.Println("consumed", len(seen), "twice", len(twice), "left", left(url))
}

func consume(url *string, handle func(body string)) {
	input := &sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10, WaitTimeSeconds: 1}
	var done []types.DeleteMessageBatchRequestEntry
	for n, message := range must(client.ReceiveMessage(ctx, input)).Messages {
		handle(*message.Body)
		entry := types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(n)), ReceiptHandle: message.ReceiptHandle}
		done = append(done, entry)
	}
	if len(done) > 0 {
		must(client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: url, Entries: done}))
	}
}
