package natsstore

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"lonja"
)

// askServers is what every server answers with the settings of its JetStream.
// It belongs to the system account, which has to export it to ours.
const askServers = "$SYS.REQ.SERVER.PING.JSZ"

// maxServers bounds the answers that are read.
const maxServers = 1000

// A serverState is a server's answer.
type serverState struct {
	Server struct {
		Name    string `json:"name"`
		Cluster string `json:"cluster"`
	} `json:"server"`
	Data struct {
		Disabled bool `json:"disabled"`
		Config   struct {
			SyncAlways bool `json:"sync_always"`
		} `json:"config"`
		Meta struct {
			Leader   string `json:"leader"`
			Replicas []struct {
				Name    string        `json:"name"`
				Offline bool          `json:"offline"`
				Active  time.Duration `json:"active"` // since it was last heard of
			} `json:"replicas"`
		} `json:"meta_cluster"`
	} `json:"data"`
}

// checkSafety refuses a cluster that may lose what it acknowledges, or warns
// of it if that is allowed. It waits for servers that do not answer: either
// they do, or the others come to know that they are down; and for one that has
// not heard yet of a stream that was just made.
func (s *Store) checkSafety(ctx context.Context) error {
	for {
		reason, err := s.unsafeReason(ctx)
		_, silent := errors.AsType[*silentServers](reason)
		if silent && !s.allowUnsafe || errors.Is(err, lonja.Unavailable) {
			s.wait(cmp.Or(err, reason))
			select {
			case <-time.After(again):
				continue
			case <-ctx.Done():
			}
		}
		switch {
		case err != nil:
			return err
		case reason == nil:
			return nil
		case s.allowUnsafe:
			s.log.Warn("the cluster may lose what it acknowledges", "reason", reason)
			return nil
		}
		return lonja.E(lonja.Invalid, "open store", fmt.Errorf("the cluster may lose what it acknowledges: %w", reason))
	}
}

// silentServers is the reason that servers do not answer and are not known to
// be down.
type silentServers struct{ names []string }

func (e *silentServers) Error() string {
	return strings.Join(e.names, ", ") + " does not say whether it syncs always"
}

// unsafeReason returns why the cluster may lose what it acknowledges, or nil.
// The error is that it could not be asked.
func (s *Store) unsafeReason(ctx context.Context) (reason, err error) {
	ctx, cancel := context.WithTimeout(ctx, 3*attempt)
	defer cancel()
	stream, err := s.js.Stream(ctx, s.name)
	if err != nil {
		return nil, s.failure(context.Background(), "ask for the stream", err)
	}
	info := stream.CachedInfo()
	switch c := info.Config; {
	case !info.Created.Equal(s.created):
		return nil, s.damaged(s.lost(fmt.Sprintf("stream %s was made anew", s.name)))
	case c.Replicas < replicas:
		return fmt.Errorf("stream %s has %d replicas, not %d", s.name, c.Replicas, replicas), nil
	case c.Storage != jetstream.FileStorage:
		return fmt.Errorf("stream %s is in memory", s.name), nil
	case c.PersistMode != jetstream.DefaultPersistMode:
		return fmt.Errorf("stream %s does not persist before it acknowledges", s.name), nil
	case info.Cluster == nil || len(info.Cluster.Replicas)+1 < replicas:
		return fmt.Errorf("stream %s is not placed on %d servers", s.name, replicas), nil
	}
	states, err := s.askServers(ctx, info.Cluster.Name)
	if err != nil {
		return nil, s.failure(context.Background(), "ask the servers", err)
	}
	return s.judgeServers(states), nil
}

// askServers returns the states of the servers in one cluster: of all that are
// known to be up, or of those that answer in time.
func (s *Store) askServers(ctx context.Context, cluster string) (map[string]serverState, error) {
	ctx, cancel := context.WithTimeout(ctx, attempt)
	defer cancel()
	answers, err := s.conn.SubscribeSync(s.conn.NewInbox())
	if err != nil {
		return nil, err
	}
	defer func() { _ = answers.Unsubscribe() }()
	if err := s.conn.PublishRequest(askServers, answers.Subject, nil); err != nil {
		return nil, err
	}
	states := make(map[string]serverState)
	for range maxServers {
		answer, err := answers.NextMsgWithContext(ctx)
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrNoResponders) {
			break
		}
		if err != nil {
			return nil, err
		}
		var state serverState
		if json.Unmarshal(answer.Data, &state) != nil || state.Server.Cluster != cluster || state.Data.Disabled {
			continue // not of those that hold the stream
		}
		states[state.Server.Name] = state
		if up, _, whole := servers(states); whole && len(up) == len(states) {
			break
		}
	}
	return states, nil
}

// downAfter is after how long without a sign a server counts as down: the
// servers tell each other of themselves every second.
const downAfter = 4 * time.Second

// servers returns the names of the servers of which states tell: those that are
// up, the ones that answered among them, and those that are not. The leader
// among them knows all; whole is false if it has not answered.
func servers(states map[string]serverState) (up, down []string, whole bool) {
	others := make(map[string]bool) // whether they are up
	for name, state := range states {
		meta := state.Data.Meta
		if meta.Leader != name {
			others[meta.Leader] = true
			continue
		}
		whole = true
		for _, r := range meta.Replicas {
			// Zero is one that this leader has never heard of: it may have led before,
			// and be down. Who is there is heard of soon, or answers itself.
			others[r.Name] = !r.Offline && 0 < r.Active && r.Active < downAfter
		}
	}
	for name := range states {
		others[name] = true
	}
	delete(others, "") // no leader is known
	for name, isUp := range others {
		if isUp {
			up = append(up, name)
		} else {
			down = append(down, name)
		}
	}
	slices.Sort(up)
	slices.Sort(down)
	return up, down, whole
}

// judgeServers returns what is wrong with the servers, or nil. Those that are
// down cannot tell, and acknowledge nothing: the keeper asks them once they are
// back.
func (s *Store) judgeServers(states map[string]serverState) error {
	if len(states) == 0 {
		return fmt.Errorf("its servers do not say whether they sync always: let the system account export %s, and the directory's account import it (packaging/nats/lonja.conf shows how)", askServers)
	}
	up, down, whole := servers(states)
	var lazy, silent []string
	for _, name := range up {
		switch state, answered := states[name]; {
		case !answered:
			silent = append(silent, lonja.Printable(name))
		case !state.Data.Config.SyncAlways:
			lazy = append(lazy, lonja.Printable(name))
		}
	}
	switch {
	case len(lazy) > 0:
		return fmt.Errorf("%s syncs now and then only: set sync_interval: always in jetstream {}", strings.Join(lazy, ", "))
	case len(silent) > 0:
		return &silentServers{silent}
	case !whole:
		return &silentServers{[]string{"the leader of its servers"}}
	case len(down) > 0:
		s.log.Warn("servers of the cluster are down; whether they sync always is asked once they are back", "servers", lonja.Printable(strings.Join(down, ", ")))
	}
	return nil
}

// attempt is how long one request may take. An election takes longer: what
// was asked meanwhile is asked again.
const attempt = 3 * time.Second
