package main

import (
	"encoding/json"
	"strings"
	"testing"

	"lonja/internal/link"
	"lonja/internal/operator"
)

// TestAdminInvite: an invitation is made, its secret shown once; it is listed,
// survives a restart with all else, and can be taken back.
func TestAdminInvite(t *testing.T) {
	s := startServed(t, ":memory:")
	text := strings.TrimSpace(s.admin("invite", "--uses", "2", "--for", "24h", "--note", "for\x1b friends", "--host", "market.example"))
	made, err := link.ParseInvitation(text)
	secret := string(made.Secret)
	if err != nil || len(secret) < 20 || made.Address.Host != "market.example" || made.Address.Port == link.DefaultPort {
		t.Errorf("got %q, %v", text, err)
	}
	if listed := s.admin("invitations"); !strings.Contains(listed, "0 of 2 used") || !strings.Contains(listed, "for\uFFFD friends") || strings.Contains(listed, secret) {
		t.Errorf("got %q", listed)
	}
	var i operator.Invitation
	if err := json.Unmarshal([]byte(s.admin("invitations", "--json")), &i); err != nil || i.Uses != 2 || i.Until-i.Made < 24*3600-5 {
		t.Errorf("got %+v, %v", i, err)
	}
	t.Setenv("LONJA_ADMIN_REVOKE", i.ID) // an invitation is not taken back by what somebody has left there
	if listed := s.admin("invitations"); !strings.Contains(listed, i.ID) {
		t.Errorf("got %q", listed)
	}
	if status, _, stderr := s.tryAdmin("invite", "--uses", "0"); status != 2 || !strings.Contains(stderr, "--uses") {
		t.Errorf("0 uses: got status %d, %q", status, stderr)
	}
	s.admin("invitations", "--revoke", i.ID)
	if status, _, stderr := s.tryAdmin("invitations", "--revoke", i.ID); status != 1 || !strings.Contains(stderr, "none with this id") {
		t.Errorf("taken back twice: got status %d, %q", status, stderr)
	}
	status, shown, stderr := s.tryAdmin("invite")
	if own, err := link.ParseInvitation(strings.TrimSpace(shown)); status != 0 || err != nil || own.Address.Host != "127.0.0.1" || !strings.Contains(stderr, "--host says another") {
		t.Errorf("an address that others cannot reach: got status %d, %q and %q", status, shown, stderr)
	} else if err := json.Unmarshal([]byte(s.admin("invitations", "--json")), &i); err != nil {
		t.Error(err)
	}
	s.admin("invitations", "--revoke", i.ID)
	if listed := s.admin("invitations"); listed != "" {
		t.Errorf("got %q, want nothing", listed)
	}
}
