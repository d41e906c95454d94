package bench

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"lonja"
	"lonja/internal/classic"
)

func TestRunPresenceMeasuresEveryLoad(t *testing.T) {
	emptyTemp(t)
	report, err := RunPresence(t.Context(), PresenceOptions{
		Users: 200, Renewals: 2000, Operations: 2000, Clients: 4, Rounds: 2, Duration: shortly, Seed: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Points) != int(presenceLoads) || len(report.Results) != 2*int(presenceLoads) {
		t.Fatalf("%d points and %d results", len(report.Points), len(report.Results))
	}
	for i, p := range report.Points {
		if p.Load != PresenceLoad(i) || (p.Renewals > 0) != (p.Load != NoRenewals) ||
			(p.Operations > 0) != p.Load.operates() || p.Load.operates() && !ascends(p.Latency) {
			t.Errorf("implausible: %+v", p)
		}
		if p.Load == PacedRenewals && p.Renewals > 2*2000 {
			t.Errorf("%.0f paced renewals a second", p.Renewals)
		}
	}
	var table bytes.Buffer
	if err := report.WriteTable(&table); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"200 users connected", "paced, operations", "LIST_CONTENT"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, &table)
		}
	}
}

func TestRunPresenceRefusesNonsense(t *testing.T) {
	right := PresenceOptions{Users: 100, Renewals: 1, Operations: 1, Clients: 1, Rounds: 1, Duration: shortly}
	tests := map[string]func(*PresenceOptions){
		"too few users": func(o *PresenceOptions) { o.Users = 1 },
		"no renewals":   func(o *PresenceOptions) { o.Renewals = 0 },
		"no operations": func(o *PresenceOptions) { o.Operations = 0 },
		"no clients":    func(o *PresenceOptions) { o.Clients = 0 },
		"no time":       func(o *PresenceOptions) { o.Duration = 0 },
	}
	for name, spoil := range tests {
		o := right
		spoil(&o)
		if _, err := RunPresence(t.Context(), o); !errors.Is(err, lonja.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestInsidersNoticeWrongAnswers has two clients act for the same users: what
// the one did is wrong for the other.
func TestInsidersNoticeWrongAnswers(t *testing.T) {
	d := corpusDirectory(t, Corpus{Users: 1, PerUser: 1, Seed: 1})
	w := window{time.Now(), time.Now().Add(time.Hour)}
	first, second := newInsider(d, 1, 0, 1, 0), newInsider(d, 1, 0, 1, 0)
	for range 100 {
		st := first.script.next()
		if st.user >= 0 {
			first.script.answered(&st, classic.Status(st.req.Op, first.perform(t.Context(), &st.req)))
		}
	}
	if err := second.run(t.Context(), w); err == nil || !strings.Contains(err.Error(), "which is wrong") {
		t.Errorf("another client's users: %v", err)
	}
}

func TestRenewalsEndWithTheFirstError(t *testing.T) {
	c := Corpus{Users: 8, PerUser: 1, Seed: 1}
	d := corpusDirectory(t, c)
	users := make([]lonja.UserName, c.Users)
	for i := range users {
		users[i] = corpusUser(i)
	}
	if err := d.Disconnect(t.Context(), users[5]); err != nil {
		t.Fatal(err)
	}
	w := window{time.Now(), time.Now().Add(time.Hour)}
	for _, rate := range []float64{0, 10_000} {
		if _, err := keepRenewing(t.Context(), d, users, rate, w); !errors.Is(err, lonja.NotConnected) {
			t.Errorf("at %g renewals a second: %v", rate, err)
		}
	}
}
