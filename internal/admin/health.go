package admin

import (
	"net/http"

	"lonja"
)

// A Health is what /healthz and /readyz answer.
type Health struct {
	Ready   bool   `json:"ready"`
	Reason  string `json:"reason,omitempty"` // why it is not ready
	Version string `json:"version"`
}

func (s *Server) health() Health {
	h := Health{Ready: true, Version: s.opts.Version}
	if err := s.ready(); err != nil {
		h.Ready, h.Reason = false, lonja.Printable(err.Error())
	}
	return h
}

// healthz is for whoever restarts processes: one that is not ready, because
// its disk is full or its cluster away, must not be restarted for that.
func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, s.health())
}

// readyz is for whoever sends users here.
func (s *Server) readyz(w http.ResponseWriter, _ *http.Request) {
	h := s.health()
	status := http.StatusOK
	if !h.Ready {
		status = http.StatusServiceUnavailable
	}
	answer(w, status, h)
}
