package admin

import (
	"context"
	"encoding/json"
	"io"
	"net/http"

	"lonja"
	"lonja/internal/operator"
)

// maxBody bounds requests that are not streams.
const maxBody = 64 << 10

// A call is one operation under way.
type call struct {
	ctx  context.Context // ends with the client, the directory and the server
	dir  operator.Directory
	body io.Reader // of any length
	out  *stream
	w    http.ResponseWriter

	place func() Place
}

func (s *Server) routes() http.Handler {
	operations := http.NewServeMux()
	for _, o := range []struct {
		method, name string
		perform      func(*call)
	}{
		{"GET", "users", (*call).users},
		{"POST", "remove-user", (*call).removeUser},
		{"GET", "stats", (*call).stats},
		{"GET", "export", (*call).export},
		{"POST", "import", (*call).importAll},
		{"GET", "backup", (*call).backup},
		{"POST", "restore", (*call).restore},
		{"POST", "check", (*call).check},
		{"POST", "invite", (*call).invite},
		{"GET", "invitations", (*call).invitations},
		{"POST", "revoke-invitation", (*call).revokeInvitation},
	} {
		operations.HandleFunc(o.method+" "+Prefix+o.name, s.operation(o.name, o.perform))
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /metrics", s.opts.Metrics)
	mux.Handle("/admin/", guard(operations))
	return mux
}

func (c *call) users() {
	c.out.kind = jsonLines
	lines := json.NewEncoder(c.out)
	for account, err := range c.dir.Accounts(c.ctx) {
		if err == nil {
			err = lines.Encode(account)
		}
		if err != nil {
			c.out.end(err)
			return
		}
	}
	c.out.end(nil)
}

func (c *call) removeUser() {
	var request struct {
		User operator.Text `json:"user"`
	}
	if !c.read(&request) {
		return
	}
	user, err := lonja.ParseUserName(string(request.User))
	if err == nil {
		err = c.dir.Unregister(c.ctx, user)
	}
	c.report(struct{}{}, err)
}

// read reads the JSON of a request, and reports false when it has refused it.
func (c *call) read(request any) bool {
	err := json.NewDecoder(io.LimitReader(c.body, maxBody)).Decode(request)
	if err != nil {
		refuse(c.w, http.StatusBadRequest, "the request is not what it should be: "+err.Error())
	}
	return err == nil
}

func (c *call) stats() { c.report(c.dir.Stats(), nil) }

func (c *call) export() {
	c.out.kind = jsonLines
	c.out.end(c.dir.Export(c.ctx, c.out))
}

func (c *call) importAll() {
	report, err := c.dir.Import(c.ctx, c.body)
	c.report(report, err)
}

func (c *call) backup() {
	c.out.kind = "application/octet-stream"
	c.out.end(c.dir.Backup(c.ctx, c.out))
}

func (c *call) restore() { c.report(struct{}{}, c.dir.Restore(c.ctx, c.body)) }

func (c *call) check() {
	report, err := c.dir.Check(c.ctx)
	c.report(report, err)
}

func (c *call) report(value any, err error) {
	if err != nil {
		fail(c.w, err, value)
		return
	}
	answer(c.w, http.StatusOK, value)
}
