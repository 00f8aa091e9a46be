package riverui

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// certificateAge is how long a certificate is used before its files are looked at again.
	certificateAge = 10 * time.Second
	// expiredEvery is how often the log says that it has expired.
	expiredEvery = 24 * time.Hour
)

// certificate is the pair of two files, which may be replaced: then it is read again.
type certificate struct {
	certFile, keyFile string
	logger            *slog.Logger

	mu      sync.Mutex
	read    time.Time // when the files were looked at last
	text    []byte    // what they held then
	failed  int       // looks at what was no pair, one after the other
	expired time.Time // when that was logged last
	pair    *tls.Certificate
}

func newCertificate(certFile, keyFile string, logger *slog.Logger) (*certificate, error) {
	switch {
	case certFile == "":
		return nil, errors.New("FLIGHTBILL_HTTP_TLS_CERT: is missing, with FLIGHTBILL_HTTP_TLS_KEY set; set both or neither")
	case keyFile == "":
		return nil, errors.New("FLIGHTBILL_HTTP_TLS_KEY: is missing, with FLIGHTBILL_HTTP_TLS_CERT set; set both or neither")
	}
	c := &certificate{certFile: certFile, keyFile: keyFile, logger: logger}
	return c, c.load()
}

// load reads the files, and makes a pair of them if they have changed.
func (c *certificate) load() error {
	c.read = time.Now()
	cert, err := os.ReadFile(c.certFile)
	if err != nil {
		return fmt.Errorf("FLIGHTBILL_HTTP_TLS_CERT: %w", err)
	}
	key, err := os.ReadFile(c.keyFile)
	if err != nil {
		return fmt.Errorf("FLIGHTBILL_HTTP_TLS_KEY: %w", err)
	}
	text := bytes.Join([][]byte{cert, key}, []byte{0})
	if c.pair != nil && bytes.Equal(text, c.text) {
		return nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("FLIGHTBILL_HTTP_TLS_CERT: %s and FLIGHTBILL_HTTP_TLS_KEY, %s, are no pair of a certificate and its key in PEM: %w",
			c.certFile, c.keyFile, err)
	}
	c.text, c.pair, c.expired = text, &pair, time.Time{}
	return nil
}

// get is a tls.Config's GetCertificate.
func (c *certificate) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.current(hello.Context()), nil
}

// expiry is a metric, of the certificate in use.
func (c *certificate) expiry() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "flightbill_http_certificate_expiry_timestamp_seconds", Help: "When the certificate of HTTPS expires, in seconds since 1970.",
	}, func() float64 { return float64(c.current(context.Background()).Leaf.NotAfter.Unix()) })
}

// current is the pair to use. One that cannot be used leaves the old one; it is no error
// yet where it is seen once, since one file is replaced after the other.
func (c *certificate) current(ctx context.Context) *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.read) >= certificateAge {
		was := c.pair
		switch err := c.load(); {
		case err != nil:
			if c.failed++; c.failed == 2 {
				c.logger.ErrorContext(ctx, "the new certificate cannot be used: the old one stays", "error", err)
			}
		default:
			c.failed = 0
			if was != c.pair {
				c.logger.InfoContext(ctx, "new certificate", "not_after", c.pair.Leaf.NotAfter.UTC())
			}
		}
	}
	if notAfter := c.pair.Leaf.NotAfter; time.Now().After(notAfter) && time.Since(c.expired) >= expiredEvery {
		c.expired = time.Now()
		c.logger.WarnContext(ctx, "the certificate has expired: clients refuse it, until its files are replaced", "not_after", notAfter.UTC())
	}
	return c.pair
}
