package riverui

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBrowserRendersTheJobs(t *testing.T) {
	t.Parallel()
	chromium := findChromium()
	if chromium == "" {
		t.Skip("Chromium is not installed: the page is not rendered")
	}
	for _, prefix := range []string{"", "/billing"} {
		b := setup(t, func(c *Config) { c.Prefix = prefix })
		b.insert(t, "the one to find")

		dom, console := render(t, chromium, b.server.URL()+"jobs?state=available")
		require.Contains(t, dom, "riverui_test", "the job's kind; console: %s", console)
		require.Contains(t, dom, "the one to find", "its arguments")
		require.Contains(t, dom, ">flights<", "its queue")
		require.Contains(t, dom, `href="`+prefix+`/queues"`, "its links")
		require.NotContains(t, console, "violates the following Content Security Policy")
	}
}

func findChromium() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// render returns a page's elements as they are once its scripts have run, and what
// the browser said meanwhile.
func render(t *testing.T, chromium, url string) (dom, console string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, chromium,
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--disable-background-networking", "--no-first-run", "--disable-component-update", "--disable-sync",
		"--enable-logging=stderr", "--user-data-dir="+t.TempDir(),
		"--virtual-time-budget=10000", "--dump-dom", url)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	require.NoError(t, cmd.Run(), "%s", &errs)
	return out.String(), errs.String()
}
