package riverui

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"
)

// readyTimeout ends a check of readiness that hangs. Those who ask by habit give
// up sooner.
const readyTimeout = 5 * time.Second

func healthz(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, "ok")
}

// readiness answers GET /readyz. Probes of load balancers and of Kubernetes send
// no credentials, so it is open to all, and says little to those without: the
// reason may name the database's address.
type readiness struct {
	check       func(context.Context) error
	degraded    func() (note, details string) // may be nil
	credentials *credentials
	logger      *slog.Logger

	checks   singleflight.Group // whoever asks, however often, keeps one connection busy at most
	notReady atomic.Bool        // as the last check found it
}

func (p *readiness) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, err, _ := p.checks.Do("", func() (any, error) {
		// Shared with others, so not ended with this request.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), readyTimeout)
		defer cancel()
		err := p.check(ctx)
		p.logChange(ctx, err)
		return nil, err
	})
	switch {
	case err == nil:
		text := "ready"
		if p.degraded != nil {
			note, details := p.degraded()
			if note != "" {
				text += ", but " + note
			}
			if details != "" && p.credentials.admit(r) {
				text += ": " + details
			}
		}
		answer(w, http.StatusOK, text)
	case p.credentials.admit(r):
		answer(w, http.StatusServiceUnavailable, err.Error())
	default:
		answer(w, http.StatusServiceUnavailable, publicText(err))
	}
}

// publicText is what everybody may know of why a service is not ready: nothing, where
// the error does not say what that is.
func publicText(err error) string {
	if reason, ok := errors.AsType[interface {
		error
		Public() string
	}](err); ok {
		return "not ready: " + reason.Public()
	}
	return "not ready"
}

// logChange tells the reason where it can be read without credentials, once.
func (p *readiness) logChange(ctx context.Context, err error) {
	was := p.notReady.Swap(err != nil)
	switch {
	case err != nil && !was:
		p.logger.WarnContext(ctx, "not ready", "error", err)
	case err == nil && was:
		p.logger.InfoContext(ctx, "ready again")
	}
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n")
}
