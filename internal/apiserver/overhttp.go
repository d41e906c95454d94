package apiserver

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"

	"lonja"
	"lonja/internal/api"
	"lonja/internal/api/apiconnect"
	"lonja/internal/frames"
)

// UserHeader names the asking user of a request over HTTP that does not.
const UserHeader = "Lonja-User"

// The patience with clients over HTTP.
const (
	headerTimeout  = 10 * time.Second
	requestTimeout = 30 * time.Second // for a body to come, and for an answer to be taken
	idleTimeout    = 2 * time.Minute
	maxHeader      = 16 << 10
	leastToPack    = 1 << 10 // shorter answers are not compressed: it costs more than it saves
)

// An httpServer serves connections that chose HTTP: Connect, gRPC-Web and JSON.
type httpServer struct {
	server  *http.Server
	handler http.Handler
	conns   sync.Map      // of net.Conn to *single
	stop    func()        // once: ends all connections
	stopped chan struct{} // closed when it has

	stopping    context.Context // of the server: ends with its streams, which would not end by themselves
	stopStreams context.CancelFunc
}

func newHTTPServer(s *Server) *httpServer {
	path, handler := apiconnect.NewDirectoryHandler(httpService{s},
		connect.WithInterceptors(failures{}),
		connect.WithReadMaxBytes(frames.MaxRequest),
		connect.WithSendMaxBytes(frames.MaxAnswer),
		connect.WithCompressMinBytes(leastToPack))
	mux := http.NewServeMux()
	mux.Handle(path, http.MaxBytesHandler(withFailures(handler), frames.MaxRequest))
	h := &httpServer{handler: mux, stopped: make(chan struct{})}
	h.stopping, h.stopStreams = context.WithCancel(context.Background())
	h.server = &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      requestTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.opts.Log.Handler(), slog.LevelDebug),
		ConnState:         h.state,
		ConnContext:       h.context,
	}
	h.stop = sync.OnceFunc(func() {
		defer close(h.stopped)
		h.stopStreams()
		ctx, cancel := context.WithTimeout(context.Background(), s.opts.StopTimeout)
		defer cancel()
		_ = h.server.Shutdown(ctx)
		_ = h.server.Close()
	})
	return h
}

// ServeHTTP implements http.Handler. The user of the header goes along.
func (h *httpServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	asked := overHTTP{r.Header.Get(UserHeader), http.NewResponseController(w)}
	h.handler.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), httpKey{}, asked)))
}

// overHTTP is what is known of a request beside its message.
type overHTTP struct {
	user    string
	control *http.ResponseController
}

type httpKey struct{}

func headerUser(ctx context.Context) string {
	asked, _ := ctx.Value(httpKey{}).(overHTTP)
	return asked.user
}

// serve serves one connection until it is closed. The caller of ctx is that of
// its requests; when ctx ends, all connections do.
func (h *httpServer) serve(ctx context.Context, conn *tls.Conn) {
	one := &single{conn: conn, caller: callerOf(ctx), next: make(chan net.Conn, 1), shut: make(chan struct{}), closed: make(chan struct{})}
	one.next <- conn
	h.conns.Store(net.Conn(conn), one)
	defer h.conns.Delete(net.Conn(conn))
	stopWatch := context.AfterFunc(ctx, h.stop)
	_ = h.server.Serve(one) // ends with the connection, or when the server is to stop
	select {
	case <-one.next: // it was to stop before
	default:
		<-one.closed
	}
	if !stopWatch() {
		<-h.stopped
	}
}

func (h *httpServer) state(conn net.Conn, state http.ConnState) {
	if state != http.StateClosed && state != http.StateHijacked {
		return
	}
	if one, ok := h.conns.Load(conn); ok {
		close(one.(*single).closed)
	}
}

func (h *httpServer) context(ctx context.Context, conn net.Conn) context.Context {
	if one, ok := h.conns.Load(conn); ok {
		return withCaller(ctx, one.(*single).caller)
	}
	return ctx
}

// A single is a listener that accepts one connection, and ends with it.
type single struct {
	conn   net.Conn
	caller *caller
	next   chan net.Conn // holds conn until it is accepted
	end    sync.Once
	shut   chan struct{} // closed by Close
	closed chan struct{} // closed when the connection is
}

// Accept implements net.Listener.
func (l *single) Accept() (net.Conn, error) {
	select {
	case conn := <-l.next:
		return conn, nil
	default:
	}
	select {
	case <-l.closed:
	case <-l.shut:
	}
	return nil, io.EOF
}

// Close implements net.Listener. It leaves the connection, which has an end of
// its own.
func (l *single) Close() error {
	l.end.Do(func() { close(l.shut) })
	return nil
}

// Addr implements net.Listener.
func (l *single) Addr() net.Addr { return l.conn.LocalAddr() }

// httpService is the service as Connect wants it.
type httpService struct{ *Server }

var _ apiconnect.DirectoryHandler = httpService{}

// Watch implements the method of lonja.v1. It may last; each event must be taken
// within the time of a request.
func (h httpService) Watch(ctx context.Context, m *api.WatchRequest, stream *connect.ServerStream[api.WatchAnswer]) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.http.stopping, cancel)()
	asked, _ := ctx.Value(httpKey{}).(overHTTP)
	_ = asked.control.SetReadDeadline(time.Time{}) // fails only on a connection that is closed
	err := h.watch(ctx, m, func(m *api.WatchAnswer) error {
		_ = asked.control.SetWriteDeadline(time.Now().Add(requestTimeout))
		return stream.Send(m)
	})
	_ = asked.control.SetWriteDeadline(time.Now().Add(requestTimeout))
	if err == nil && h.http.stopping.Err() != nil {
		return lonja.E(lonja.Unavailable, "watch", errors.New("the directory stops"))
	}
	return err
}

// failures gives errors the form that Connect has for them.
type failures struct{}

// WrapUnary implements connect.Interceptor.
func (failures) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, r connect.AnyRequest) (connect.AnyResponse, error) {
		answer, err := next(ctx, r)
		return answer, connectError(err)
	}
}

// WrapStreamingClient implements connect.Interceptor.
func (failures) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// WrapStreamingHandler implements connect.Interceptor.
func (failures) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		return connectError(next(ctx, conn))
	}
}

// connectError tells what frames.Tell tells: the kind is the one detail.
func connectError(err error) error {
	if err == nil {
		return nil
	}
	if own, ok := errors.AsType[*connect.Error](err); ok {
		if len(own.Details()) == 0 { // of the carrier's own making: a body that is too long, say
			addFailure(own, carrierFailure(own.Code(), own.Message()))
		}
		return own
	}
	kind, sentence := frames.Tell(err)
	e := connect.NewError(connectCodes[kind], errors.New(sentence))
	addFailure(e, &api.Failure{Kind: api.Kind(kind), Sentence: sentence})
	return e
}

func addFailure(e *connect.Error, f *api.Failure) {
	if detail, err := connect.NewErrorDetail(f); err == nil {
		e.AddDetail(detail)
	}
}

// connectCodes are the codes of kinds. A test proves that none is missing.
var connectCodes = map[lonja.Kind]connect.Code{
	lonja.Internal:         connect.CodeInternal,
	lonja.Invalid:          connect.CodeInvalidArgument,
	lonja.NoSuchUser:       connect.CodeNotFound,
	lonja.NameInUse:        connect.CodeAlreadyExists,
	lonja.AlreadyConnected: connect.CodeAlreadyExists,
	lonja.NotConnected:     connect.CodeFailedPrecondition,
	lonja.AlreadyPublished: connect.CodeAlreadyExists,
	lonja.NotPublished:     connect.CodeNotFound,
	lonja.NoSuchOwner:      connect.CodeNotFound,
	lonja.NoHolder:         connect.CodeNotFound,
	lonja.NoSuchFile:       connect.CodeNotFound,
	lonja.Unavailable:      connect.CodeUnavailable,
	lonja.Refused:          connect.CodeUnknown,
	lonja.Malformed:        connect.CodeInternal,
	lonja.Disagreement:     connect.CodeInternal,
	lonja.LocalFile:        connect.CodeInternal,
	lonja.Canceled:         connect.CodeCanceled,
	lonja.NodeInUse:        connect.CodeFailedPrecondition,
	lonja.Conflict:         connect.CodeAborted,
	lonja.Damaged:          connect.CodeDataLoss,
	lonja.Limited:          connect.CodeResourceExhausted,
	lonja.OtherKey:         connect.CodePermissionDenied,
	lonja.Forbidden:        connect.CodePermissionDenied,
	lonja.Untrusted:        connect.CodeUnauthenticated,
	lonja.TakenOver:        connect.CodeAborted,
}
