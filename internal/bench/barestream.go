package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"lonja/internal/natsstore"
)

// connectCluster connects to a cluster as the store does, with nothing that
// matters for its speed otherwise. The caller closes the connection.
func connectCluster(o natsstore.Options, inFlight int) (*nats.Conn, jetstream.JetStream, error) {
	var options []nats.Option
	if o.Credentials != "" {
		options = append(options, nats.UserCredentials(o.Credentials))
	}
	if o.CA != "" {
		options = append(options, nats.RootCAs(o.CA))
	}
	if o.Cert != "" {
		options = append(options, nats.ClientCert(o.Cert, o.Key))
	}
	conn, err := nats.Connect(o.Servers, options...)
	if err != nil {
		return nil, nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	js, err := jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(2*inFlight))
	if err != nil {
		conn.Close()
		return nil, nil, err
	}
	return conn, js, nil
}

// deleteStream removes a stream of the measurements.
func deleteStream(o natsstore.Options, name string) error {
	conn, js, err := connectCluster(o, 1)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := js.DeleteStream(ctx, name); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("delete stream %s: %w", name, err)
	}
	return nil
}

// streamName returns a name that no other stream on the cluster has.
func streamName() string { return fmt.Sprintf("lonja-bench-%016x", rand.Uint64()) }

// A bareStream is the limit of a store on a cluster: messages of the same size
// into a stream as safe as the store's, each with the same expectation. It keeps
// nothing else and follows nothing.
type bareStream struct {
	cluster natsstore.Options
	name    string
	conn    *nats.Conn
	js      jetstream.JetStream
}

func openBareStream(ctx context.Context, o natsstore.Options, inFlight int) (*bareStream, error) {
	conn, js, err := connectCluster(o, inFlight)
	if err != nil {
		return nil, err
	}
	s := &bareStream{o, streamName(), conn, js}
	config := jetstream.StreamConfig{
		Name: s.name, Subjects: []string{s.name + ".>"}, Storage: jetstream.FileStorage,
		Replicas: 3, MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew,
	}
	if _, err := js.CreateStream(ctx, config); err != nil {
		conn.Close()
		return nil, fmt.Errorf("make a stream: %w", err)
	}
	return s, nil
}

// add returns when the cluster has acknowledged the message.
func (s *bareStream) add(ctx context.Context, key string, value []byte) error {
	m := nats.NewMsg(s.name + "." + strings.ReplaceAll(key, "/", "."))
	m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, "0")
	m.Data = value
	ack, err := s.js.PublishMsgAsync(m)
	if err != nil {
		return err
	}
	select {
	case <-ack.Ok():
		return nil
	case err := <-ack.Err():
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *bareStream) close() error {
	s.conn.Close()
	return deleteStream(s.cluster, s.name)
}
