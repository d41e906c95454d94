package admin

import (
	"encoding/json"
	"net/http"

	"lonja"
)

// httpStatuses is the table from kinds to statuses.
var httpStatuses = map[lonja.Kind]int{
	lonja.Internal:         http.StatusInternalServerError,
	lonja.Invalid:          http.StatusBadRequest,
	lonja.NoSuchUser:       http.StatusNotFound,
	lonja.NameInUse:        http.StatusConflict,
	lonja.AlreadyConnected: http.StatusConflict,
	lonja.NotConnected:     http.StatusConflict,
	lonja.AlreadyPublished: http.StatusConflict,
	lonja.NotPublished:     http.StatusNotFound,
	lonja.NoSuchOwner:      http.StatusNotFound,
	lonja.NoHolder:         http.StatusNotFound,
	lonja.NoSuchFile:       http.StatusNotFound,
	lonja.Unavailable:      http.StatusServiceUnavailable,
	lonja.Refused:          http.StatusForbidden,
	lonja.Malformed:        http.StatusBadRequest,
	lonja.Disagreement:     http.StatusConflict,
	lonja.LocalFile:        http.StatusInternalServerError,
	lonja.Canceled:         http.StatusServiceUnavailable,
	lonja.NodeInUse:        http.StatusConflict,
	lonja.Conflict:         http.StatusConflict,
	lonja.Damaged:          http.StatusUnprocessableEntity,
	lonja.Limited:          http.StatusTooManyRequests,
	lonja.OtherKey:         http.StatusForbidden,
	lonja.Forbidden:        http.StatusForbidden,
	lonja.Untrusted:        http.StatusForbidden,
	lonja.TakenOver:        http.StatusConflict,
}

// A Failure is the JSON of an answer that is none. Report is what was done
// nevertheless, where something may have been.
type Failure struct {
	Error  string `json:"error"`
	Report any    `json:"report,omitempty"`
}

func answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) // who is gone needs no answer
}

func refuse(w http.ResponseWriter, status int, why string) {
	answer(w, status, Failure{Error: lonja.Printable(why)})
}

// fail answers with err, and with what was done nevertheless unless that is nil.
func fail(w http.ResponseWriter, err error, report any) {
	answer(w, httpStatuses[lonja.KindOf(err)], Failure{lonja.Printable(err.Error()), report})
}
