package riverui

import (
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
	"net/http"
)

// credentials are kept as hashes: of one length, so that a comparison takes the
// same time however long or alike what was sent is. A nil one lets everybody in.
type credentials struct {
	hashes
	guesses *guesses
}

type hashes struct {
	user, password [sha256.Size]byte
}

func newCredentials(user, password string, guesses *guesses) *credentials {
	if user == "" {
		return nil
	}
	return &credentials{hashed(user, password), guesses}
}

func hashed(user, password string) hashes {
	return hashes{user: sha256.Sum256([]byte(user)), password: sha256.Sum256([]byte(password))}
}

// match says whether a request carries the credentials.
func (c *credentials) match(r *http.Request) bool {
	if c == nil {
		return true
	}
	user, password, ok := r.BasicAuth()
	if !ok {
		return false
	}
	sent := hashed(user, password)
	// Both, always: stopping at a wrong user would tell which users there are.
	sameUser := subtle.ConstantTimeCompare(sent.user[:], c.user[:])
	samePassword := subtle.ConstantTimeCompare(sent.password[:], c.password[:])
	return sameUser&samePassword == 1
}

// admit is match, at once where they are right; wrong ones are counted, and answered late.
func (c *credentials) admit(r *http.Request) bool {
	if c.match(r) {
		return true
	}
	if r.Header.Get("Authorization") != "" {
		c.guesses.refuse(r)
	}
	return false
}

// require answers 401 to a request without the credentials.
func (c *credentials) require(next http.Handler, logger *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !c.admit(r) {
			if r.Header.Get("Authorization") == "" {
				c.guesses.missing()
			}
			// Not the user: people type passwords into that field.
			logger.DebugContext(r.Context(), "request without the credentials refused", "remote", r.RemoteAddr, "path", r.URL.Path)
			w.Header().Set("WWW-Authenticate", `Basic realm="flightbill", charset="UTF-8"`)
			http.Error(w, "credentials needed", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}
