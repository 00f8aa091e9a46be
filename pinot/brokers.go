package pinot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/flightbill/flightbill/billing"
)

const (
	// listAge is how long a controller's list of brokers is used before it is
	// asked for again. A list that is out of date costs a failed try, no more.
	listAge = 30 * time.Second
	// listPause is the least time between two requests to the controller.
	listPause = time.Second
	// failedPause is how long a broker that failed is tried last, so that one
	// frozen broker of several does not cost every second query its timeout.
	failedPause = 10 * time.Second

	controllerPath = "/v2/brokers/tables?state=ONLINE"
)

// broker is one address to ask.
type broker struct {
	url  string // with scheme, without a slash at the end; may hold credentials
	name string // host and port: for logs and errors
}

// parseAddress reads host:port or an http(s) URL. Its errors do not repeat the
// address, which may hold a password.
func parseAddress(address string) (broker, error) {
	address = strings.TrimRight(strings.TrimSpace(address), "/")
	plain := !strings.Contains(address, "://")
	if plain {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	switch {
	case err != nil, u.Hostname() == "":
		return broker{}, errors.New("is not host:port or an http:// or https:// URL")
	case u.Scheme != "http" && u.Scheme != "https":
		return broker{}, errors.New("has another scheme than http and https")
	case plain && u.Port() == "" || strings.HasSuffix(u.Host, ":"):
		return broker{}, errors.New("has no port")
	case strings.Contains(u.Path, "@"): // then the host is what begins the password
		return broker{}, errors.New("has an @ after a /; in the user and the password write %2F for / and %40 for @")
	case u.RawQuery != "" || u.Fragment != "" || plain && u.Path != "":
		return broker{}, errors.New("has more than a host and a port")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return broker{}, errors.New("has a port that is not 1 to 65535")
		}
	}
	return broker{url: u.String(), name: u.Host}, nil
}

// brokers knows whom to ask, in which order.
type brokers struct {
	controller *broker // nil where the brokers are given
	table      string
	client     *http.Client
	access     *access
	timeout    time.Duration
	logger     *slog.Logger
	now        func() time.Time

	// asking holds one token for the one that asks the controller.
	asking chan struct{}

	mu      sync.Mutex
	known   []broker
	next    int
	failed  map[string]time.Time // by URL
	asked   time.Time            // when the controller was asked last
	listErr error                // what came of it
}

// list returns the brokers to try, in order: a rotating start, those that failed
// lately at the end. With again, all known ones have just failed; the controller
// is asked for others.
func (b *brokers) list(ctx context.Context, again bool) ([]broker, error) {
	if b.controller != nil {
		if err := b.refresh(ctx, again); err != nil {
			return nil, err
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	start := b.next % len(b.known)
	b.next = start + 1
	ordered := slices.Concat(b.known[start:], b.known[:start])
	now := b.now()
	slices.SortStableFunc(ordered, func(x, y broker) int {
		return b.penalty(x, now) - b.penalty(y, now)
	})
	return ordered, nil
}

// penalty is 1 for a broker that failed lately. The caller holds mu.
func (b *brokers) penalty(of broker, now time.Time) int {
	if at, ok := b.failed[of.url]; ok && now.Sub(at) < failedPause {
		return 1
	}
	return 0
}

// report notes what came of a query; err is nil where it was answered. A broker whose
// quota is used up is there. A change
// is logged where there are other brokers to go on with; without, it is an outage,
// which its caller tells of.
func (b *brokers) report(ctx context.Context, of broker, err error) {
	if err != nil && billing.CauseOf(err) == billing.CauseQuota {
		return
	}
	b.mu.Lock()
	_, was := b.failed[of.url]
	if err != nil {
		b.failed[of.url] = b.now()
	} else if was {
		delete(b.failed, of.url)
	}
	others := len(b.known) > 1
	b.mu.Unlock()
	switch {
	case !others:
	case err != nil && !was:
		b.logger.WarnContext(ctx, "Pinot: broker gives no answer to rely on", "broker", of.name, "error", err)
	case err == nil && was:
		b.logger.InfoContext(ctx, "Pinot: broker answers again", "broker", of.name)
	}
}

// refresh asks the controller where the list is due: old, or again. One asks at a
// time. The others wait only where there is no list to go on with.
func (b *brokers) refresh(ctx context.Context, again bool) error {
	if due, err := b.due(again); !due {
		return err
	}
	b.mu.Lock()
	usable := len(b.known) > 0 && !again
	b.mu.Unlock()
	if usable {
		select {
		case b.asking <- struct{}{}:
		default:
			return nil
		}
	} else {
		select {
		case b.asking <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	defer func() { <-b.asking }()
	if due, err := b.due(again); !due { // asked while we waited
		return err
	}
	found, err := b.ask(ctx)
	if ctx.Err() != nil {
		return ctx.Err() // says nothing about the controller
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked, b.listErr = b.now(), err
	if err == nil {
		b.known = found
		for u := range b.failed {
			if !slices.ContainsFunc(found, func(k broker) bool { return k.url == u }) {
				delete(b.failed, u)
			}
		}
	}
	if len(b.known) == 0 {
		return err
	}
	return nil // an old list serves while the controller is away
}

// due says whether to ask the controller. Where that was done a moment ago and
// there is no list, it returns what was wrong then.
func (b *brokers) due(again bool) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	age := listAge
	if again || len(b.known) == 0 {
		age = listPause
	}
	if b.asked.IsZero() || b.now().Sub(b.asked) >= age {
		return true, nil
	}
	if len(b.known) == 0 {
		return false, b.listErr
	}
	return false, nil
}

// ask fetches the table's online brokers from the controller. The client's own
// selector for this has a goroutine that never ends.
func (b *brokers) ask(ctx context.Context) ([]broker, error) {
	attempt, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	found, err := b.fetch(attempt)
	if err != nil && (attempt.Err() != nil || errors.Is(err, context.DeadlineExceeded)) { // the latter of the dialer
		err = causedBy(billing.CauseTimeout, "no answer within %s", b.timeout)
	}
	if err != nil && !strings.Contains(err.Error(), "controller "+b.controller.name) {
		err = fmt.Errorf("controller %s: %w", b.controller.name, err)
	}
	return found, err
}

func (b *brokers) fetch(ctx context.Context) ([]broker, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.controller.url+controllerPath, http.NoBody)
	if err != nil {
		return nil, errors.New("its address cannot be used")
	}
	req.Header.Set("Accept", "application/json")
	if err := b.access.mark(req); err != nil {
		return nil, err
	}
	at := peer{"controller " + b.controller.name, "PINOT_CONTROLLER"}
	resp, err := b.client.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // without the URL, which may hold credentials
		}
		return nil, at.connectionError(err)
	}
	lists, tables, err := b.readLists(resp)
	_ = resp.Body.Close() // the answer is there, or will not be
	if wrong := at.statusError(resp); wrong != nil {
		return nil, wrong
	}
	if err != nil {
		return nil, err
	}
	return b.brokersOf(lists, tables)
}

// readLists reads the brokers of the table, under any name that it may have, and counts
// the tables.
func (b *brokers) readLists(resp *http.Response) (lists map[string][]listed, tables int, err error) {
	s := newStream(resp, maxList)
	lists = map[string][]listed{}
	err = s.inside('{', maxTables, func() error {
		tables++
		name, err := s.key()
		switch {
		case err != nil:
			return err
		case name != rawTable(b.table) && name != b.nameInDatabase():
			return s.skip()
		case lists[name] != nil:
			return fmt.Errorf("table %s is there twice", name)
		}
		lists[name] = []listed{}
		return s.inside('[', maxBrokers, func() error {
			var at listed
			err := s.small(&at)
			lists[name] = append(lists[name], at)
			return err
		})
	})
	return lists, tables, s.end("a list of brokers", err)
}

// nameInDatabase is how the table is listed in a cluster with several databases.
func (b *brokers) nameInDatabase() string { return b.access.database + "." + rawTable(b.table) }

// listed is a broker as the controller names it.
type listed struct {
	Host string `json:"host"`
	Port int    `json:"port"`
}

// brokersOf returns the table's brokers. They are asked as the controller is: by the same
// scheme, with the same credentials.
func (b *brokers) brokersOf(lists map[string][]listed, tables int) ([]broker, error) {
	list, known := lists[rawTable(b.table)]
	if !known && b.access.database != "" {
		list, known = lists[b.nameInDatabase()]
	}
	switch {
	case !known && tables == 0:
		return nil, configErrorf("PINOT_TABLE", "there is no table %s: it knows no table at all", b.table)
	case !known:
		return nil, configErrorf("PINOT_TABLE", "there is no table %s among the %d that it knows", b.table, tables)
	case len(list) == 0:
		return nil, causedBy(billing.CauseIncomplete, "it knows no online broker for table %s", b.table)
	}
	controller, err := url.Parse(b.controller.url)
	if err != nil {
		return nil, errors.New("its address cannot be used")
	}
	found := make([]broker, len(list))
	for i, at := range list {
		parsed, err := parseAddress(net.JoinHostPort(at.Host, strconv.Itoa(at.Port)))
		if err != nil {
			return nil, causedBy(billing.CauseUnreadable, "the address of a broker %w", err)
		}
		found[i] = broker{
			name: parsed.name,
			url:  (&url.URL{Scheme: controller.Scheme, User: controller.User, Host: parsed.name}).String(),
		}
	}
	return found, nil
}

// rawTable is the name that the controller lists a table under.
func rawTable(table string) string {
	for _, suffix := range []string{"_OFFLINE", "_REALTIME"} {
		if raw, ok := strings.CutSuffix(table, suffix); ok {
			return raw
		}
	}
	return table
}
