package riverui

import (
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"strings"

	ui "riverqueue.com/riverui"
)

// maxBody is more than any request of River UI's needs: retrying 50,000 jobs at
// once takes 0.5 MB. River UI reads bodies whole and sets no limit itself.
const maxBody = 1 << 20

// responseHeaders go on every answer. River UI loads nothing from elsewhere and
// has no inline script, but its scripts insert style elements. One of them tries
// whether it may use eval, which the browser's console then reports as blocked, and
// does without.
//
// Referrer-Policy is not no-referrer, with which a browser hides the Origin even
// from the page's own server. On plain HTTP beyond localhost that header is all
// that tells a request of River UI's from another site's.
var responseHeaders = map[string]string{
	"Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
		"object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Referrer-Policy":              "same-origin",
	"X-Content-Type-Options":       "nosniff",
	"X-Frame-Options":              "DENY",
}

// withoutFolders answers 404 where River UI would list the files of a folder.
func withoutFolders(prefix string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := path.Join("dist", strings.TrimPrefix(r.URL.Path, prefix))
		if file, err := fs.Stat(ui.FrontendIndex, name); err == nil && file.IsDir() && name != "dist" {
			http.NotFound(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// withHeaders sets the response headers.
func withHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range responseHeaders {
			w.Header().Set(name, value)
		}
		next.ServeHTTP(w, r)
	})
}

// sameOriginOnly refuses requests that would change something and come from
// another site. River UI reads a body as JSON whatever its type says, so a plain
// form on any page could retry and delete jobs.
func sameOriginOnly(next http.Handler) http.Handler {
	return http.NewCrossOriginProtection().Handler(next)
}

// thisMachineOnly refuses requests to any other name than this machine's or the
// one it was told to listen on. A browser lets a page read what comes from the
// page's own name, and the page's owner may point that name at 127.0.0.1.
//
// It also refuses what a proxy on this machine passes on under its public name:
// that needs credentials.
func thisMachineOnly(host string, next http.Handler, logger *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := (&url.URL{Host: r.Host}).Hostname() // without port and brackets
		if !isLoopbackName(asked) && !strings.EqualFold(asked, host) {
			logger.DebugContext(r.Context(), "request to another name refused", "host", r.Host, "remote", r.RemoteAddr)
			http.Error(w, "This server has no credentials set, so it answers only to localhost. To reach it by another name, "+
				"set FLIGHTBILL_HTTP_USER and FLIGHTBILL_HTTP_PASSWORD.", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
