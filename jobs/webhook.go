package jobs

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// maxAnswer is how much of a receiver's answer is read, so that its connection can be used
// again. Nothing of it is kept.
const maxAnswer = 64 << 10

// WebhookSender sends messages as Standard Webhooks has them.
type WebhookSender struct {
	client       *http.Client
	now          func() time.Time
	allowPrivate bool // and http beside https
}

// NewWebhookSender returns one that reaches public addresses alone, unless told otherwise.
func NewWebhookSender(allowPrivate bool, now func() time.Time) *WebhookSender {
	dialer := &net.Dialer{Timeout: deliveryTimeout}
	if !allowPrivate {
		dialer.Control = refusePrivate
	}
	return &WebhookSender{
		now: now, allowPrivate: allowPrivate,
		client: &http.Client{
			Transport: &http.Transport{ // without a proxy: behind one, nobody sees which address is reached
				DialContext: dialer.DialContext, ForceAttemptHTTP2: true, TLSHandshakeTimeout: deliveryTimeout,
				MaxIdleConns: 20, MaxIdleConnsPerHost: DefaultDeliveryWorkers, IdleConnTimeout: 30 * time.Second, MaxResponseHeaderBytes: maxAnswer,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// Close ends the connections that wait for another message.
func (s *WebhookSender) Close() { s.client.CloseIdleConnections() }

// message is one webhook's.
type message struct {
	id, url string
	at      time.Time
	body    []byte
	secrets []string
}

// send makes one request. What it says of a failure has no secret of the URL in it.
func (s *WebhookSender) send(ctx context.Context, m message) *failure {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url, bytes.NewReader(m.body))
	if err != nil {
		return &failure{final: true, reason: "the webhook's URL cannot be read; remove the webhook, and add it with the right one"}
	}
	if request.URL.Scheme != "https" && !s.allowPrivate {
		return notTaken("the webhook's URL is not https; FLIGHTBILL_WEBHOOK_ALLOW_PRIVATE=true allows http")
	}
	signature, err := sign(m)
	if err != nil {
		return notTaken("%v", err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "flightbill")
	request.Header.Set(standardwebhooks.HeaderWebhookID, m.id)
	request.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(m.at.Unix(), 10))
	request.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	response, err := s.client.Do(request)
	if err != nil {
		return notTaken("no answer: %v", withoutURL(err))
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxAnswer))
	return s.judge(response)
}

func (s *WebhookSender) judge(response *http.Response) *failure {
	answered := fmt.Sprintf("answered %d %s", response.StatusCode, http.StatusText(response.StatusCode))
	switch code := response.StatusCode; {
	case code >= 200 && code < 300:
		return nil
	case code >= 300 && code < 400:
		return notTaken("%s: redirects are not followed; add the webhook with its new URL", answered)
	case code == http.StatusGone:
		return &failure{reason: answered, final: true, gone: true}
	case code == http.StatusTooManyRequests, code == http.StatusServiceUnavailable:
		return &failure{reason: answered, after: min(s.retryAfter(response.Header.Get("Retry-After")), maxRetryAfter)}
	}
	return notTaken("%s", answered)
}

// retryAfter reads seconds or a date; 0 where it is neither.
func (s *WebhookSender) retryAfter(header string) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second //nolint:gosec // below 2^31
	}
	if at, err := http.ParseTime(header); err == nil {
		return at.Sub(s.now())
	}
	return 0
}

// sign signs with each secret: a receiver that changes over knows one of them.
func sign(m message) (string, error) {
	if len(m.secrets) == 0 {
		return "", errors.New("the webhook has no secret to sign with; flightbill webhooks rotate gives it one")
	}
	signatures := make([]string, len(m.secrets))
	for i, secret := range m.secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		if err != nil || len(key) == 0 { // the library would sign with an empty one
			return "", errors.New("a secret of the webhook cannot be read; flightbill webhooks rotate gives it another")
		}
		signer, err := standardwebhooks.NewWebhookRaw(key)
		if err == nil {
			signatures[i], err = signer.Sign(m.id, m.at, m.body)
		}
		if err != nil {
			return "", fmt.Errorf("sign the message: %w", err)
		}
	}
	return strings.Join(signatures, " "), nil
}

// withoutURL takes the URL off an error of an HTTP client.
func withoutURL(err error) error {
	if of, ok := errors.AsType[*url.Error](err); ok {
		return of.Err
	}
	return err
}
