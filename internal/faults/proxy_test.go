package faults_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// proxy stands between a process and Postgres.
type proxy struct {
	listener net.Listener
	target   atomic.Pointer[string] // host:port
	delay    atomic.Int64           // of each packet, in ns
	running  sync.WaitGroup

	mu      sync.Mutex
	refuses bool // new connections are closed at once
	silent  bool // new connections never hear a word
	links   map[*link]struct{}
}

// link is a connection through a proxy.
type link struct {
	near, far net.Conn
	dead      atomic.Bool // whatever is sent is lost, and nobody says so
}

func startProxy(t *testing.T) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &proxy{listener: listener, links: map[*link]struct{}{}}
	p.running.Go(p.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		p.cut()
		p.running.Wait()
	})
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.running.Go(func() { p.connect(near) })
	}
}

func (p *proxy) connect(near net.Conn) {
	p.mu.Lock()
	refuses := p.refuses
	p.mu.Unlock()
	target := p.target.Load()
	if refuses || target == nil {
		_ = near.Close()
		return
	}
	far, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(context.Background(), "tcp", *target)
	if err != nil {
		_ = near.Close()
		return
	}
	l := &link{near: near, far: far}
	p.mu.Lock()
	l.dead.Store(p.silent)
	p.links[l] = struct{}{}
	p.mu.Unlock()
	p.running.Go(func() { p.carry(l, near, far) })
	p.carry(l, far, near)
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

func (p *proxy) carry(l *link, to, from net.Conn) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buffer := make([]byte, 1<<16)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		time.Sleep(time.Duration(p.delay.Load()))
		if l.dead.Load() {
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// cut ends all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		_, _ = l.near.Close(), l.far.Close()
	}
}

// silence has the connections that there are, and those to come until speak, say
// nothing any more. Those stay so.
func (p *proxy) silence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = true
	for l := range p.links {
		l.dead.Store(true)
	}
}

func (p *proxy) speak() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = false
}

// refuse ends all connections, and those to come until accept.
func (p *proxy) refuse(refuse bool) {
	p.mu.Lock()
	p.refuses = refuse
	p.mu.Unlock()
	if refuse {
		p.cut()
	}
}
