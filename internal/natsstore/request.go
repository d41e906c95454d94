package natsstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"

	"lonja"
)

// patience bounds a write, with all its attempts: some elections take 7 s.
const patience = 15 * time.Second

// A question is not waited for as long as other requests: whoever was to answer
// may be gone, and another one there by now. Writes that were lost together
// must not all come again at one moment, which may be the last one before an
// election is over, so each is waited for a little differently.
const (
	minQuestion = 600 * time.Millisecond
	maxQuestion = 1200 * time.Millisecond
)

func questionTime() time.Duration { return minQuestion + rand.N(maxQuestion-minQuestion) }

// An outcome is what is known of a write after an attempt.
type outcome int

const (
	done     outcome = iota // it is kept
	notDone                 // it is not, and may be tried again
	lost                    // it may be kept or not: no answer came
	conflict                // it is not: an expectation did not hold
	failed                  // it is not, and trying again is no use
)

// Errors of the cluster, by their numbers.
const (
	errWrongSequence       = 10071 // an expectation did not hold
	errWrongSequenceAtWork = 10164 // likewise, for a write that is under way
	errIncompleteBatch     = 10176
	errTooManyBatches      = 10210
	errNotAvailable        = 10008
	errNotLeader           = 10009
	errTooManyRequests     = 10167
	errStreamOffline       = 10118
	errNoMessage           = 10037
)

// An apiError is an error as the cluster tells it.
type apiError struct {
	Code        int    `json:"err_code"`
	Description string `json:"description"`
}

func (e *apiError) Error() string {
	return fmt.Sprintf("%s (%d)", lonja.Printable(e.Description), e.Code)
}

func (e *apiError) outcome() outcome {
	switch e.Code {
	case errWrongSequence, errWrongSequenceAtWork:
		return conflict
	case errIncompleteBatch, errTooManyBatches, errNotAvailable, errNotLeader, errTooManyRequests, errStreamOffline:
		return notDone
	}
	return failed
}

// request sends a message to the stream and returns its sequence. If the
// outcome is not done, err says why.
func (s *Store) request(ctx context.Context, m *nats.Msg) (uint64, outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, questionTime())
	defer cancel()
	reply, err := s.conn.RequestMsgWithContext(ctx, m)
	if err != nil {
		return 0, requestOutcome(err), printable(err)
	}
	var answer struct {
		Error *apiError `json:"error"`
		Seq   uint64    `json:"seq"`
	}
	switch err := json.Unmarshal(reply.Data, &answer); {
	case err != nil:
		return 0, lost, errors.New("an answer that cannot be read")
	case answer.Error != nil:
		return 0, answer.Error.outcome(), answer.Error
	case answer.Seq == 0:
		return 0, lost, errors.New("an answer without a sequence")
	}
	return answer.Seq, done, nil
}

// requestOutcome says what is known of a request that has no answer.
func requestOutcome(err error) outcome {
	switch {
	case errors.Is(err, nats.ErrNoResponders), // nobody was there to take it
		errors.Is(err, nats.ErrReconnectBufExceeded): // it was not sent: there is no connection
		return notDone
	case errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrMaxPayload), errors.Is(err, nats.ErrBadSubject):
		return failed
	}
	return lost
}

// last asks the leader, and nobody else, for the last message of a subject.
// found is false if there is none. It tries until ctx ends.
func (s *Store) last(ctx context.Context, subject string) (m told, found bool, err error) {
	question, err := json.Marshal(map[string]string{"last_by_subj": subject})
	if err != nil {
		return m, false, err
	}
	wait := backoff{}
	for {
		m, found, err = s.ask(ctx, question)
		if err == nil || !wait.next(ctx) {
			return m, found, err
		}
	}
}

// ask asks the leader for one message. found is false if there is none.
func (s *Store) ask(ctx context.Context, question []byte) (m told, found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, questionTime())
	defer cancel()
	reply, err := s.conn.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+s.name, question)
	if err != nil {
		return told{}, false, printable(err)
	}
	var answer struct {
		Error   *apiError `json:"error"`
		Message *struct {
			Subject string `json:"subject"`
			Data    []byte `json:"data"`
			Seq     uint64 `json:"seq"`
		} `json:"message"`
	}
	switch err := json.Unmarshal(reply.Data, &answer); {
	case err != nil:
		return told{}, false, err
	case answer.Error != nil && answer.Error.Code == errNoMessage:
		return told{}, false, nil
	case answer.Error != nil:
		return told{}, false, answer.Error
	case answer.Message == nil:
		return told{}, false, errors.New("an answer without a message")
	}
	m = told{answer.Message.Subject, answer.Message.Data, answer.Message.Seq}
	return m, true, nil
}

// A backoff makes attempts rarer and rarer.
type backoff struct{ wait time.Duration }

const (
	firstWait = 2 * time.Millisecond
	maxWait   = 250 * time.Millisecond
)

// next waits before the next attempt, and reports false if ctx ended.
func (b *backoff) next(ctx context.Context) bool {
	b.wait = min(max(2*b.wait, firstWait), maxWait)
	select {
	case <-time.After(b.wait):
		return true
	case <-ctx.Done():
		return false
	}
}
