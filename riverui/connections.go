package riverui

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// maxConnections is more than River UI, Prometheus and probes ever have; it keeps a
// stranger from taking all the process's file descriptors.
const maxConnections = 1024

// connections is a listener that has so many connections at most. For another one that
// is closed which has waited longest without a request that is being answered: whoever
// opens many and sends nothing, or slowly, shuts out nobody.
type connections struct {
	net.Listener

	most int

	mu      sync.Mutex
	open    int
	waiting list.List // of *connection, those that wait longest first
}

// connection is one that was accepted.
type connection struct {
	net.Conn

	of       *connections
	requests int           // being answered
	place    *list.Element // in waiting; nil while there are requests, or once it is closed
	closed   bool
}

// Accept implements net.Listener.
func (l *connections) Accept() (net.Conn, error) {
	for {
		accepted, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &connection{Conn: accepted, of: l}
		if l.admit(c) {
			return c, nil
		}
		_ = accepted.Close()
	}
}

// admit makes room for a connection; false where all others have requests.
func (l *connections) admit(c *connection) bool {
	l.mu.Lock()
	var oldest *connection
	if l.open >= l.most {
		first := l.waiting.Front()
		if first == nil {
			l.mu.Unlock()
			return false
		}
		oldest, _ = first.Value.(*connection)
	}
	l.open++
	c.place = l.waiting.PushBack(c)
	l.mu.Unlock()
	if oldest != nil {
		_ = oldest.Close()
	}
	return true
}

// Close closes the connection, and counts it no more.
func (c *connection) Close() error {
	l := c.of
	l.mu.Lock()
	if !c.closed {
		c.closed = true
		l.open--
		c.leave()
	}
	l.mu.Unlock()
	return c.Conn.Close()
}

// CloseWrite lets a client read the answer to a request whose body is not read.
func (c *connection) CloseWrite() error {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		return tcp.CloseWrite()
	}
	return nil
}

// leave takes a connection from those that wait. The caller holds mu.
func (c *connection) leave() {
	if c.place != nil {
		c.of.waiting.Remove(c.place)
		c.place = nil
	}
}

// count notes requests that have begun, or ended.
func (c *connection) count(requests int) {
	l := c.of
	l.mu.Lock()
	defer l.mu.Unlock()
	c.requests += requests
	c.leave()
	if c.requests == 0 && !c.closed {
		c.place = l.waiting.PushBack(c)
	}
}

type connectionKey struct{}

// withConnection is an http.Server's ConnContext.
func withConnection(ctx context.Context, conn net.Conn) context.Context {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	return context.WithValue(ctx, connectionKey{}, conn)
}

// counted tells the connection of its requests.
func counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := r.Context().Value(connectionKey{}).(*connection); ok {
			c.count(1)
			defer c.count(-1)
		}
		next.ServeHTTP(w, r)
	})
}
