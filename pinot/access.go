package pinot

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/csv"
	"io"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// access is how a source makes itself known to Pinot: to brokers and controller alike.
// Its errors never repeat a secret.
type access struct {
	headers   http.Header
	token     string
	tokenFile string // read for each request: a token may be replaced any time
	database  string
}

// maxToken is more than any token has, in bytes.
const maxToken = 64 << 10

var (
	headerName = regexp.MustCompile(`^[A-Za-z0-9-]+$`)
	// ownHeaders are those that the request itself needs.
	ownHeaders = []string{"Host", "Content-Type", "Content-Length", "Content-Encoding", "Transfer-Encoding", "Accept-Encoding", "Connection"}
)

func newAccess(cfg Config) (*access, error) {
	headers, err := parseHeaders(cfg.Headers)
	if err != nil {
		return nil, err
	}
	a := &access{
		headers: headers, token: strings.TrimSpace(cfg.Token), tokenFile: strings.TrimSpace(cfg.TokenFile), database: strings.TrimSpace(cfg.Database),
	}
	given := headers.Get("Authorization") != ""
	switch {
	case a.token != "" && a.tokenFile != "":
		return nil, configErrorf("PINOT_TOKEN_FILE", "set it or PINOT_TOKEN, not both")
	case given && a.token+a.tokenFile != "":
		return nil, configErrorf("PINOT_HEADERS", "it has an Authorization beside the one of PINOT_TOKEN: leave one of them")
	case hasControl(a.token):
		return nil, configErrorf("PINOT_TOKEN", "it has a line end or a control character")
	case a.database != "" && !tableName.MatchString(a.database):
		return nil, configErrorf("PINOT_DATABASE", "%q is not a database's name: letters, digits, _ . and -", a.database)
	case a.database != "" && headers.Get("Database") != "":
		return nil, configErrorf("PINOT_HEADERS", "it has a database beside that of PINOT_DATABASE: leave one of them")
	}
	_, err = a.readToken()
	return a, err
}

// parseHeaders reads name=value, separated by commas. A pair in double quotes may have
// commas in it, as in CSV.
func parseHeaders(setting string) (http.Header, error) {
	headers := http.Header{}
	if strings.TrimSpace(setting) == "" {
		return headers, nil
	}
	reader := csv.NewReader(strings.NewReader(setting))
	reader.TrimLeadingSpace = true
	pairs, err := reader.Read()
	if err != nil {
		return nil, configErrorf("PINOT_HEADERS", "it is not name=value, separated by commas; a pair with a comma or a quote in it is written in double quotes, and a quote twice")
	}
	if _, err := reader.Read(); err == nil {
		return nil, configErrorf("PINOT_HEADERS", "it has more than one line")
	}
	for i, pair := range pairs {
		name, value, found := strings.Cut(pair, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		switch {
		case !found || !headerName.MatchString(name):
			return nil, configErrorf("PINOT_HEADERS", "header %d of %d is not name=value", i+1, len(pairs))
		case slices.Contains(ownHeaders, http.CanonicalHeaderKey(name)):
			return nil, configErrorf("PINOT_HEADERS", "header %s is flightbill's own", name)
		case headers.Get(name) != "":
			return nil, configErrorf("PINOT_HEADERS", "header %s is there twice", name)
		case value == "" || hasControl(value):
			return nil, configErrorf("PINOT_HEADERS", "header %d of %d has no value, or one with a line end or a control character", i+1, len(pairs)) // a name that may be a token in base64
		}
		headers.Set(name, value)
	}
	return headers, nil
}

func hasControl(text string) bool { return strings.ContainsFunc(text, unicode.IsControl) }

// readToken returns the token of now; empty without one.
func (a *access) readToken() (string, error) {
	if a.tokenFile == "" {
		return a.token, nil
	}
	text, err := readStart(a.tokenFile, maxToken+1)
	token := strings.TrimSpace(string(text))
	switch {
	case err != nil:
		return "", &ConfigError{Setting: "PINOT_TOKEN_FILE", Problem: "it cannot be read", Err: err}
	case token == "" || hasControl(token) || len(text) > maxToken:
		return "", configErrorf("PINOT_TOKEN_FILE", "%s does not hold one token, on one line", a.tokenFile)
	}
	return token, nil
}

// readStart returns what a file holds, so many bytes at most.
func readStart(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}

// mark adds to a request what makes it ours.
func (a *access) mark(req *http.Request) error {
	maps.Copy(req.Header, a.headers)
	if a.database != "" {
		req.Header.Set("Database", a.database)
	}
	token, err := a.readToken()
	if err != nil || token == "" {
		return err
	}
	// Pinot's own tokens are those of basic authentication, and say so.
	if scheme, _, _ := strings.Cut(token, " "); !strings.EqualFold(scheme, "Basic") && !strings.EqualFold(scheme, "Bearer") {
		token = "Bearer " + token
	}
	req.Header.Set("Authorization", token)
	return nil
}

// tlsConfig returns nil where Go's own serves.
func tlsConfig(cfg Config) (*tls.Config, error) {
	caFile, certFile, keyFile := strings.TrimSpace(cfg.CAFile), strings.TrimSpace(cfg.ClientCertFile), strings.TrimSpace(cfg.ClientKeyFile)
	if caFile+certFile+keyFile == "" {
		return nil, nil //nolint:nilnil // see above
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		text, err := os.ReadFile(caFile)
		if err != nil {
			return nil, &ConfigError{Setting: "PINOT_CA_FILE", Problem: "it cannot be read", Err: err}
		}
		if c.RootCAs, err = x509.SystemCertPool(); err != nil {
			c.RootCAs = x509.NewCertPool()
		}
		if !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, configErrorf("PINOT_CA_FILE", "%s holds no certificate in PEM", caFile)
		}
	}
	switch {
	case certFile == "" && keyFile == "":
	case certFile == "" || keyFile == "":
		return nil, configErrorf("PINOT_CLIENT_CERT_FILE", "set it and PINOT_CLIENT_KEY_FILE, or neither")
	default:
		// Read anew for each connection: certificates are replaced while we run.
		load := func() (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(certFile, keyFile)
			if err != nil {
				return nil, &ConfigError{Setting: "PINOT_CLIENT_CERT_FILE", Problem: "it and PINOT_CLIENT_KEY_FILE are no pair that can be used", Err: err}
			}
			return &pair, nil
		}
		if _, err := load(); err != nil {
			return nil, err
		}
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	}
	return c, nil
}
