package oplog_test

import (
	"context"
	"fmt"
	"os"

	"lonja"
	"lonja/internal/oplog"
)

// A service, and a directory's client that sends it one entry.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	service, err := oplog.Listen(oplog.ServiceOptions{Host: "127.0.0.1", Out: os.Stdout})
	if err != nil {
		fmt.Println(err)
		return
	}
	ended := make(chan error)
	go func() { ended <- service.Run(ctx) }()

	client, err := oplog.NewClient(oplog.ClientOptions{Target: service.Addr().String()})
	if err != nil {
		fmt.Println(err)
		return
	}
	client.Record(lonja.OperationRecord{
		User: "ana", Operation: "PUBLISH", File: "/home/ana/a.txt", Timestamp: "23/11/2026 05:54:17",
	})
	flush, end := context.WithCancel(ctx)
	end() // at its end, Run still sends what waits
	fmt.Println("client:", client.Run(flush))

	cancel()
	fmt.Println("service:", <-ended)
	// Output:
	// [23/11/2026 05:54:17] ana: PUBLISH /home/ana/a.txt
	// client: <nil>
	// service: <nil>
}
