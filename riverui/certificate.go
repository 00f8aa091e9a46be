package riverui

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// certificateAge is how long a certificate is used before its files are looked at again.
const certificateAge = 10 * time.Second

// certificate is the pair of two files, which may be replaced: then it is read again.
type certificate struct {
	certFile, keyFile string
	logger            *slog.Logger

	mu     sync.Mutex
	read   time.Time // when the files were looked at last
	text   []byte    // what they held then
	failed bool      // it was no pair, which has been logged
	pair   *tls.Certificate
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
	c.text, c.pair = text, &pair
	return nil
}

// get is a tls.Config's GetCertificate. A pair that cannot be used leaves the old one.
func (c *certificate) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.read) < certificateAge {
		return c.pair, nil
	}
	was := c.pair
	switch err := c.load(); {
	case err != nil:
		if !c.failed {
			c.logger.ErrorContext(hello.Context(), "the new certificate cannot be used: the old one stays", "error", err)
		}
		c.failed = true
	default:
		c.failed = false
		if was != c.pair {
			c.logger.InfoContext(hello.Context(), "new certificate", "not_after", c.pair.Leaf.NotAfter.UTC())
		}
	}
	return c.pair, nil
}
