// go run . <program> <endpoint> <name>: the AWS SDK for Go v2 with queues of this name. The programs are tour, which
// tells line by line what it sees, and loop, which consumes with several long polls at a time.
package main

import (
	"context"
	"log"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

var (
	ctx    = context.Background()
	client *sqs.Client
	name   string
)

func main() {
	program, endpoint := os.Args[1], os.Args[2]
	name = os.Args[3]
	client = sqs.New(sqs.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(endpoint),
		Credentials:  credentials.NewStaticCredentialsProvider("any", "any", ""),
	})
	map[string]func(){"tour": tour, "loop": loop}[program]()
}

// must gives what a call answers; an error ends the program.
func must[T any](answer T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return answer
}

func create(queue string, attributes map[string]string, tags map[string]string) *string {
	input := &sqs.CreateQueueInput{QueueName: &queue, Attributes: attributes, Tags: tags}
	return must(client.CreateQueue(ctx, input)).QueueUrl
}

func attributesOf(url *string, names ...types.QueueAttributeName) map[string]string {
	input := &sqs.GetQueueAttributesInput{QueueUrl: url, AttributeNames: names}
	return must(client.GetQueueAttributes(ctx, input)).Attributes
}

func last(text string) string {
	return text[strings.LastIndexAny(text, "/:")+1:]
}
