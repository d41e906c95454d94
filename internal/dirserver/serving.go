package dirserver

// Serving returns how many connections are being served.
func (s *Server) Serving() int { return s.open.count() }

func (o *openConns) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.conns)
}
