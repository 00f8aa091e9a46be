package riverui

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
)

// pair writes a certificate of 127.0.0.1 and its key.
func pair(t *testing.T, certFile, keyFile string, serial int64) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "flightbill"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	text, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: text}), 0o600))
	require.NoError(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	cert, err := x509.ParseCertificate(text)
	require.NoError(t, err)
	return cert
}

func pairFiles(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	dir := t.TempDir()
	return filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
}

func TestTLS(t *testing.T) {
	t.Parallel()
	certFile, keyFile := pairFiles(t)
	roots := x509.NewCertPool()
	roots.AddCert(pair(t, certFile, keyFile, 1))
	b := setup(t, withCredentials, func(c *Config) { c.TLSCert, c.TLSKey = certFile, keyFile })
	require.True(t, strings.HasPrefix(b.base, "https://127.0.0.1:"), b.base)
	ask := func(config *tls.Config) (*http.Response, error) {
		config.RootCAs = roots
		transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
		defer transport.CloseIdleConnections()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.base+"/api/queues", nil)
		require.NoError(t, err)
		req.SetBasicAuth("clerk", "tüp:elo")
		res, err := transport.RoundTrip(req)
		if err == nil {
			require.NoError(t, res.Body.Close())
		}
		return res, err
	}
	res, err := ask(&tls.Config{MinVersion: tls.VersionTLS12})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Equal(t, "HTTP/1.1", res.Proto)
	res, err = ask(&tls.Config{MaxVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, res.StatusCode)
	_, err = ask(&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	require.ErrorContains(t, err, "protocol version not supported")
	require.Contains(t, get(t, strings.Replace(b.base, "https:", "http:", 1)), "Client sent an HTTP request to an HTTPS server")
	for _, protocols := range [][]string{{"h2"}, {"h2", "http/1.1"}} { // who asks for HTTP/2 and speaks none
		conn, err := tls.Dial("tcp", strings.TrimPrefix(b.base, "https://"), &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12, NextProtos: protocols})
		if err == nil {
			_, err = io.WriteString(conn, "PRI * HTTP/2.0\r\n\r\nlevel=ERROR\r\n\r\n")
			require.NoError(t, err)
			_, _ = io.Copy(io.Discard, conn)
			require.NoError(t, conn.Close())
		}
	}
	require.NoError(t, b.server.Shutdown(t.Context()))
	require.NotContains(t, b.log.String(), "level=WARN", "anybody could fill the log")
	require.Contains(t, b.log.String(), "TLS handshake error")
}

// Renewed while it serves.
func TestCertificateIsReadAgain(t *testing.T) {
	t.Parallel()
	certFile, keyFile := pairFiles(t)
	synctest.Test(t, func(t *testing.T) {
		log := &syncWriter{}
		pair(t, certFile, keyFile, 1)
		c, err := newCertificate(certFile, keyFile, slog.New(slog.NewTextHandler(log, nil)))
		require.NoError(t, err)
		serial := func() int64 {
			got, err := c.get(&tls.ClientHelloInfo{})
			require.NoError(t, err)
			return got.Leaf.SerialNumber.Int64()
		}
		pair(t, certFile, keyFile, 2)
		require.EqualValues(t, 1, serial(), "looked at lately")
		time.Sleep(certificateAge)
		require.EqualValues(t, 2, serial())
		require.Contains(t, log.String(), "new certificate")

		old, err := os.ReadFile(keyFile)
		require.NoError(t, err)
		pair(t, certFile, keyFile, 3)
		renewed, err := os.ReadFile(keyFile)
		require.NoError(t, err)
		for i, half := range [][]byte{old, []byte("no PEM"), nil} { // the certificate is there before its key
			require.NoError(t, os.WriteFile(keyFile, half, 0o600))
			time.Sleep(certificateAge)
			require.EqualValues(t, 2, serial(), "the old one stays")
			require.Equal(t, min(i, 1), strings.Count(log.String(), "level=ERROR"), "the key may be about to come: %s", log)
		}
		require.NoError(t, os.Remove(keyFile))
		time.Sleep(certificateAge)
		require.EqualValues(t, 2, serial())
		require.Equal(t, 1, strings.Count(log.String(), "level=ERROR"), log)
		require.Contains(t, log.String(), "FLIGHTBILL_HTTP_TLS_CERT")
		require.NotContains(t, log.String(), "no PEM")
		require.NoError(t, os.WriteFile(keyFile, renewed, 0o600))
		time.Sleep(certificateAge)
		require.EqualValues(t, 3, serial())

		require.NotContains(t, log.String(), "level=WARN")
		for day := range 3 {
			for range 5 {
				time.Sleep(time.Hour + time.Second)
				require.EqualValues(t, 3, serial(), "it may be all there is")
			}
			require.Equal(t, day+1, strings.Count(log.String(), "the certificate has expired"), log)
			time.Sleep(19 * time.Hour)
		}
		pair(t, certFile, keyFile, 4)
		require.EqualValues(t, 4, serial())
		require.Equal(t, 3, strings.Count(log.String(), "level=WARN"), log)
	})
}

// An alert comes before it has expired, though nobody connects anew.
func TestCertificatesExpiryIsAMetric(t *testing.T) {
	t.Parallel()
	certFile, keyFile := pairFiles(t)
	synctest.Test(t, func(t *testing.T) {
		pair(t, certFile, keyFile, 1)
		c, err := newCertificate(certFile, keyFile, slog.New(slog.DiscardHandler))
		require.NoError(t, err)
		for range 2 {
			expiry := pair(t, certFile, keyFile, 2).NotAfter
			time.Sleep(certificateAge)
			require.InDelta(t, float64(expiry.Unix()), testutil.ToFloat64(c.expiry()), 0)
		}
	})
	require.Len(t, (&Server{guesses: newGuesses(discard)}).Collectors(), 1, "without a certificate there is none")
}

func TestPairsThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	certFile, keyFile := pairFiles(t)
	otherCert, otherKey := pairFiles(t)
	pair(t, certFile, keyFile, 1)
	pair(t, otherCert, otherKey, 2)
	for _, tc := range []struct{ cert, key, want string }{
		{certFile, "", "FLIGHTBILL_HTTP_TLS_KEY: is missing, with FLIGHTBILL_HTTP_TLS_CERT set"},
		{"", keyFile, "FLIGHTBILL_HTTP_TLS_CERT: is missing, with FLIGHTBILL_HTTP_TLS_KEY set"},
		{certFile + "x", keyFile, "FLIGHTBILL_HTTP_TLS_CERT: open " + certFile + "x: no such file"},
		{certFile, keyFile + "x", "FLIGHTBILL_HTTP_TLS_KEY: open " + keyFile + "x: no such file"},
		{certFile, otherKey, "are no pair of a certificate and its key"},
		{keyFile, certFile, "are no pair of a certificate and its key"},
	} {
		require.ErrorContains(t, Config{TLSCert: tc.cert, TLSKey: tc.key}.Validate(), tc.want)
	}
	require.NoError(t, Config{TLSCert: certFile, TLSKey: keyFile}.Validate())
	require.ErrorContains(t, Config{Addr: ":0", TLSCert: certFile, TLSKey: keyFile}.Validate(), "is not loopback", "it is no substitute for credentials")
}
