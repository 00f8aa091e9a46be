package faults_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// books are all that flightbill has written, and all that the witnesses have.
type books struct {
	h        *harness
	prices   map[int64][]tariff        // by version of the price book
	events   map[string][]billedEvent  // by flight
	ledger   map[string]ledgerRow      // by flight
	charges  map[string][]chargeRow    // by flight
	invoices map[int64]invoiceRow      //
	voids    map[string][]voidRow      // by flight, in the order of their credit notes
	queued   map[string][]queuedFlight // by flight
	asked    map[string]askedRow       // by flight
	wrong    []string                  // what does not hold
}

type billedEvent struct {
	FlightID  string
	What      string
	Version   int64
	Began, At time.Time
	Voids     []string
}

type ledgerRow struct {
	FlightID, Customer string
	LandedOn           time.Time
	Facts              []byte
	Revision           int
}

type chargeRow struct {
	ID, InvoiceID        int64
	FlightID, Code       string
	Quantity, Rate       string
	Amount, TaxRate, Tax string
	FlownOn              time.Time
	Late                 bool
	Origin               string
	Cutoff               time.Time
}

type invoiceRow struct {
	ID                   int64
	Number, Customer     string
	Kind                 string
	ClosesOn             *time.Time
	Currency, Status     string
	Subtotal, Tax, Total string
	Credits              int64
	IssuedAt, DueOn      time.Time // of drafts the zero time
}

type voidRow struct {
	FlightID, Currency string
	Rebill, Rebilled   bool
}

type askedRow struct {
	FlightID string
	Taken    bool // last of all
	At       time.Time
}

// checkCorrected looks at the facts alone, before all that is left is corrected.
func (h *harness) checkCorrected(t *testing.T) {
	t.Helper()
	b := h.read(t)
	for id, row := range b.ledger {
		b.checkFacts(id, row)
	}
	require.Empty(t, b.wrong, "-seed=%d", h.seed)
}

// check compares all that flightbill has written with what it must be.
func (h *harness) check(t *testing.T) {
	t.Helper()
	b := h.read(t)
	b.wrong = append(b.wrong, h.mistakes...)
	for id := range b.asked {
		b.checkFlight(id)
	}
	for id, row := range b.ledger {
		if _, asked := b.asked[id]; !asked {
			b.faultf("flight %s is billed to %s, and nobody has enqueued it", id, row.Customer)
		}
	}
	for id := range b.queued {
		if _, asked := b.asked[id]; !asked {
			b.faultf("flight %s is queued, and nobody has enqueued it", id)
		}
	}
	b.checkInvoices()
	b.checkTables(t)
	require.Empty(t, b.wrong, "-seed=%d", h.seed)
	require.Greater(t, len(b.ledger), 50, "flights billed")
}

func (b *books) faultf(format string, args ...any) {
	if len(b.wrong) < 30 {
		b.wrong = append(b.wrong, fmt.Sprintf(format, args...))
	}
}

func rowsOf[T any](t *testing.T, h *harness, sql string) []T {
	t.Helper()
	rows, err := h.admin.Query(t.Context(), sql)
	require.NoError(t, err)
	all, err := collect[T](rows)
	require.NoError(t, err)
	return all
}

func (h *harness) read(t *testing.T) *books {
	t.Helper()
	b := &books{
		h: h, prices: map[int64][]tariff{}, events: map[string][]billedEvent{}, ledger: map[string]ledgerRow{}, charges: map[string][]chargeRow{},
		invoices: map[int64]invoiceRow{}, voids: map[string][]voidRow{}, queued: map[string][]queuedFlight{}, asked: map[string]askedRow{},
	}
	type priceRow struct {
		Version int64
		Tariffs []byte
	}
	for _, row := range rowsOf[priceRow](t, h, `SELECT version, tariffs FROM witness.prices`) {
		var tariffs []tariff
		require.NoError(t, json.Unmarshal(row.Tariffs, &tariffs))
		b.prices[row.Version] = tariffs
	}
	for _, row := range rowsOf[billedEvent](t, h, `SELECT flight_id, what, version, began, at, voids FROM witness.billed ORDER BY flight_id, revision`) {
		b.events[row.FlightID] = append(b.events[row.FlightID], row)
	}
	for _, row := range rowsOf[ledgerRow](t, h, `SELECT flight_id, code, landed_on, facts, revision FROM flightbill.billed_flights b JOIN flightbill.customers c ON c.id = b.customer_id`) {
		b.ledger[row.FlightID] = row
	}
	for _, row := range rowsOf[chargeRow](t, h, `SELECT c.id, invoice_id, flight_id, code, quantity::text, unit_rate::text, amount::text, tax_rate::text, tax_amount::text,
			flown_on, late, coalesce(origin, ''), w.cutoff FROM flightbill.charges c JOIN witness.charged w ON w.charge_id = c.id ORDER BY c.id`) {
		b.charges[row.FlightID] = append(b.charges[row.FlightID], row)
	}
	for _, row := range rowsOf[invoiceRow](t, h, `SELECT i.id, coalesce(number, ''), code, kind, closes_on, currency, status,
			coalesce(subtotal::text, ''), coalesce(tax::text, ''), coalesce(total::text, ''), coalesce(credits_invoice_id, 0),
			coalesce(issued_at, '0001-01-01Z'), coalesce(due_on, '0001-01-01')
			FROM flightbill.invoices i JOIN flightbill.customers c ON c.id = i.customer_id`) {
		b.invoices[row.ID] = row
	}
	for _, row := range rowsOf[voidRow](t, h, `SELECT flight_id, currency, rebill, rebilled_at IS NOT NULL FROM flightbill.voided_flights ORDER BY credit_note_id`) {
		b.voids[row.FlightID] = append(b.voids[row.FlightID], row)
	}
	for _, row := range rowsOf[queuedFlight](t, h, `SELECT flight_id, state, coalesce(reason, ''), coalesce(last_error, ''), job_id, attempts, process_after FROM flightbill.flight_processing_queue`) {
		b.queued[row.FlightID] = append(b.queued[row.FlightID], row)
	}
	for _, row := range rowsOf[askedRow](t, h, `SELECT DISTINCT ON (flight_id) flight_id, taken, at FROM witness.asked ORDER BY flight_id, n DESC`) {
		b.asked[row.FlightID] = row
	}
	return b
}

// checkFlight: a flight that was enqueued is billed, or waits for a reason that is right; one that was taken back is not.
func (b *books) checkFlight(id string) {
	now, _ := b.h.flights.get(id)
	row, billed := b.ledger[id]
	asked := b.asked[id]
	var open, openAgain bool
	for _, v := range b.voids[id] {
		open, openAgain = open || !v.Rebilled, openAgain || v.Rebill && !v.Rebilled
	}
	for _, q := range b.queued[id] {
		switch {
		case q.Reason == "invoice_voided" && open && !openAgain:
		case q.Reason != "" && q.Reason == now.refused() && !billed && !asked.Taken:
		default:
			b.faultf("flight %s is still queued, %s: %s", id, q.State, q.LastError)
		}
	}
	switch {
	case billed && asked.Taken && b.events[id][0].At.After(asked.At):
		b.faultf("flight %s was billed at %v, after it had been taken back at %v", id, b.events[id][0].At, asked.At)
	case !billed && !asked.Taken && len(b.queued[id]) == 0:
		b.faultf("flight %s was enqueued at %v, and is neither billed nor queued", id, asked.At)
	case !billed && len(b.charges[id]) > 0:
		b.faultf("flight %s has charges and is not in the ledger", id)
	case openAgain:
		b.faultf("flight %s is to be billed again, and has not been", id)
	}
	if billed {
		b.checkFacts(id, row)
		b.checkPrice(id, row)
		b.checkPeriods(id)
	}
}

// checkFacts: those in the ledger were the flight's at some time, and not before the version to which it was corrected.
func (b *books) checkFacts(id string, row ledgerRow) {
	_, last := b.h.flights.get(id)
	for version := last; version >= b.h.fixed[id]; version-- {
		if f := b.h.flights.at(id, version); f.refused() == "" && f.isIn(row.Facts) {
			if payerOf(f).code != row.Customer || !dayOf(f.landed, b.h.zone).Equal(row.LandedOn) {
				b.faultf("flight %s is in the ledger for %s, landed on %v; by its facts %+v it is not", id, row.Customer, row.LandedOn, f)
			}
			return
		}
	}
	b.faultf("flight %s was billed from %s, which was not so from version %d to %d", id, row.Facts, b.h.fixed[id], last)
}

// isIn reports whether the ledger's facts are these.
func (f facts) isIn(ledger []byte) bool {
	var kept struct {
		Operator     string    `json:"operator"`
		Registration string    `json:"registration"`
		Mass         int64     `json:"mtow_kg"`
		Origin       string    `json:"origin"`
		Destination  string    `json:"destination"`
		Landed       time.Time `json:"landed_at"`
		Distance     number    `json:"distance_km"`
		Passengers   int64     `json:"passengers"`
	}
	if err := json.Unmarshal(ledger, &kept); err != nil || kept.Distance.Rat == nil {
		return false
	}
	return kept.Operator == f.operator && kept.Registration == f.aircraft && kept.Mass == f.mass && kept.Origin == f.origin && kept.Destination == f.destination &&
		kept.Landed.Equal(f.landed) && kept.Distance.Cmp(big.NewRat(f.hectometres, 10)) == 0 && kept.Passengers == f.passengers
}

// versions returns those of the price book that may have been in force when a flight was billed: that which its witness saw,
// and those before it whose successor may have been committed between the look at the book and the witness.
func (b *books) versions(e billedEvent) []int64 {
	oldest := int64(0)
	for version, known := range b.h.seen {
		if known.Before(e.Began) {
			oldest = max(oldest, version)
		}
	}
	versions := slices.Sorted(maps.Keys(b.prices))
	return slices.DeleteFunc(versions, func(v int64) bool { return v < min(oldest, e.Version) || v > e.Version })
}

// checkPrice follows a flight through all that was done to it, currency by currency, and compares what it must come to with
// the sum of all its charges.
func (b *books) checkPrice(id string, row ledgerRow) {
	var f facts
	_, last := b.h.flights.get(id)
	for version := last; version >= 0; version-- {
		if f = b.h.flights.at(id, version); f.isIn(row.Facts) {
			break
		}
	}
	// Only what was billed last from these facts counts; an earlier billing only where its currency was not touched since. Facts change by
	// corrections alone, which price all currencies anew.
	events := b.events[id]
	if len(events) != row.Revision+1 || events[0].What != "save" {
		b.faultf("flight %s was billed, voided and corrected %d times, and its revision is %d", id, len(events), row.Revision)
		return
	}
	from := 0
	for i, e := range events {
		if e.What == "correction" {
			from = i
		}
	}
	voids := b.voids[id]
	if n := len(slices.DeleteFunc(slices.Clone(events), func(e billedEvent) bool { return e.What != "void" })); n != len(voids) {
		b.faultf("flight %s was voided %d times, and %d times by its events %v", id, len(voids), n, whats(events))
		return
	}
	for _, e := range events[:from] {
		if e.What == "void" {
			voids = voids[1:]
		}
	}
	possible := []lines{{}}
	seen := map[string]bool{}
	for _, e := range events[from:] {
		if e.What == "rebill" {
			continue
		}
		if e.What == "void" {
			gone := voids[0].Currency
			voids = voids[1:]
			for i := range possible {
				possible[i] = maps.Clone(possible[i])
				maps.DeleteFunc(possible[i], func(key item, _ sums) bool { return key.currency == gone })
			}
			continue
		}
		var next []lines
		for _, version := range b.versions(e) {
			price := priceOf(f, payers[row.Customer], b.prices[version])
			for _, before := range possible {
				after := maps.Clone(before)
				for key := range price {
					if e.What != "rebilled" || slices.Contains(e.Voids, key.currency) {
						maps.DeleteFunc(after, func(old item, _ sums) bool { return old.currency == key.currency })
					}
				}
				for key, s := range price {
					if e.What != "rebilled" || slices.Contains(e.Voids, key.currency) || !seen[key.currency] {
						after[key] = s
					}
				}
				next = append(next, after)
			}
		}
		for key := range priceOf(f, payers[row.Customer], b.prices[e.Version]) {
			seen[key.currency] = true
		}
		possible = next
	}
	have := lines{}
	for _, c := range b.charges[id] {
		invoice := b.invoices[c.InvoiceID]
		key := item{invoice.Customer, invoice.Currency, c.Code, rat(c.Rate).RatString(), rat(c.TaxRate).RatString()}
		have[key] = have[key].add(sums{rat(c.Quantity), rat(c.Amount), rat(c.Tax)})
	}
	if !slices.ContainsFunc(possible, have.equals) {
		maps.DeleteFunc(have, func(_ item, s sums) bool { return s.isZero() })
		b.faultf("flight %s, after %v, comes to %v, and must come to %v", id, whats(events), have, possible)
	}
}

func whats(events []billedEvent) (all []string) {
	for _, e := range events {
		all = append(all, e.What)
	}
	return all
}

func rat(s string) *big.Rat {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		panic(s + " is not a number")
	}
	return r
}

// checkPeriods: each charge is on the document of its period, by the cut-off under which it was made.
func (b *books) checkPeriods(id string) {
	for _, c := range b.charges[id] {
		invoice := b.invoices[c.InvoiceID]
		if c.Origin != "" && len(b.events[id]) == 1 {
			b.faultf("charge %d of flight %s is a %q, and the flight was billed once and never touched", c.ID, id, c.Origin)
		}
		if invoice.Credits != 0 {
			if c.Late || c.Origin != "" {
				b.faultf("charge %d of flight %s undoes another, and is late or %q", c.ID, id, c.Origin)
			}
			continue
		}
		closes, late := payers[invoice.Customer].closing(c.FlownOn, c.Cutoff, b.h.next)
		have := time.Time{}
		if invoice.ClosesOn != nil {
			have = *invoice.ClosesOn
		}
		if !have.Equal(closes) || c.Late != (late || c.Origin != "") {
			b.faultf("charge %d of flight %s, flown on %v, billed under cut-off %v: closes on %v, late %v; must be %v, %v",
				c.ID, id, c.FlownOn.Format(time.DateOnly), c.Cutoff.Format(time.DateOnly), have.Format(time.DateOnly), c.Late, closes.Format(time.DateOnly), late || c.Origin != "")
		}
	}
}

// checkInvoices: totals are the sums of charges, tax that of each rate's sum, and what a run has passed is issued.
func (b *books) checkInvoices() {
	type taxed struct {
		invoice int64
		rate    string
	}
	sum, of := map[int64]sums{}, map[taxed]sums{}
	flightsOn := map[int64]map[string]bool{}
	for id, charges := range b.charges {
		for _, c := range charges {
			key := taxed{c.InvoiceID, rat(c.TaxRate).RatString()}
			of[key] = of[key].add(sums{nil, rat(c.Amount)})
			if flightsOn[c.InvoiceID] == nil {
				flightsOn[c.InvoiceID] = map[string]bool{}
			}
			flightsOn[c.InvoiceID][id] = true
		}
	}
	for key, s := range of {
		tax := round(new(big.Rat).Mul(s[1], rat(key.rate)), placesOf(b.invoices[key.invoice].Currency))
		sum[key.invoice] = sum[key.invoice].add(sums{nil, s[1], tax})
	}
	cutoff := b.h.today
	if b.h.next {
		cutoff = cutoff.AddDate(0, 0, -1)
	}
	voided := map[int64]int64{}
	for _, i := range b.invoices {
		if i.Credits != 0 {
			if voided[i.Credits] != 0 {
				b.faultf("invoice %d is voided twice", i.Credits)
			}
			voided[i.Credits] = i.ID
		}
	}
	for _, i := range b.invoices {
		name := fmt.Sprintf("invoice %d %s of %s", i.ID, i.Number, i.Customer)
		s := sum[i.ID]
		due := dayOf(i.IssuedAt, b.h.zone)
		if i.Kind != "credit_note" {
			due = due.AddDate(0, 0, payers[i.Customer].terms)
		}
		switch {
		case i.Status == "DRAFT":
			if i.ClosesOn == nil || !i.ClosesOn.After(cutoff) {
				b.faultf("%s is still a draft, and its closing date %v has been run", name, i.ClosesOn)
			}
		case i.ClosesOn != nil && i.ClosesOn.After(cutoff):
			b.faultf("%s is issued, and its closing date %v has not come", name, i.ClosesOn)
		case !i.DueOn.Equal(due):
			b.faultf("%s, issued at %v, is due on %v, and must be on %v", name, i.IssuedAt, i.DueOn, due)
		case s[1] == nil || rat(i.Subtotal).Cmp(s[1]) != 0 || rat(i.Tax).Cmp(s[2]) != 0 || rat(i.Total).Cmp(new(big.Rat).Add(s[1], s[2])) != 0:
			b.faultf("%s has subtotal %s, tax %s, total %s; its charges come to %v", name, i.Subtotal, i.Tax, i.Total, s)
		}
		if i.Kind == "flight" && len(flightsOn[i.ID]) != 1 {
			b.faultf("%s is for one flight, and has %d", name, len(flightsOn[i.ID]))
		}
		if note := voided[i.ID]; (note != 0) != (i.Status == "VOID") {
			b.faultf("%s is %s, and invoice %d undoes it", name, i.Status, note)
		} else if back := sum[note]; note != 0 && (new(big.Rat).Add(s[1], back[1]).Sign() != 0 || new(big.Rat).Add(s[2], back[2]).Sign() != 0) {
			b.faultf("%s comes to %v, and what undoes it to %v", name, s, back)
		}
	}
}

// checkTables: what holds for whole tables.
func (b *books) checkTables(t *testing.T) {
	t.Helper()
	var lost int
	require.NoError(t, b.h.admin.QueryRow(t.Context(), `SELECT count(*) FROM unnest($1::bigint[]) AS ended (token) WHERE NOT EXISTS (SELECT FROM witness.transactions t WHERE t.token = ended.token)`, b.h.ended).Scan(&lost))
	if lost > 0 {
		b.faultf("%d transactions were committed, and are not there: this is the server's fault or the test's, and not flightbill's", lost)
	}
	for what, sql := range map[string]string{
		"jobs still running":          `SELECT id::text FROM flightbill.river_job WHERE state = 'running'`,
		"charges that no witness saw": `SELECT id::text FROM flightbill.charges c WHERE NOT EXISTS (SELECT FROM witness.charged w WHERE w.charge_id = c.id)`,
		"two invoices for a period": `SELECT customer_id || ' ' || closes_on FROM flightbill.invoices WHERE closes_on IS NOT NULL AND status <> 'VOID'
			GROUP BY customer_id, currency, closes_on HAVING count(*) > 1`,
		"numbers missing, twice or not counted": `SELECT c.code FROM flightbill.customers c LEFT JOIN flightbill.invoices i ON i.customer_id = c.id AND i.number IS NOT NULL
			GROUP BY c.id HAVING array_agg(i.number ORDER BY i.number) FILTER (WHERE i.number IS NOT NULL) IS DISTINCT FROM (
				SELECT array_agg(n ORDER BY n) FROM (
					SELECT c.code || '-' || lpad(n::text, 6, '0') AS n FROM generate_series(1, c.invoice_seq) AS n
					UNION ALL SELECT c.code || '-CN' || lpad(n::text, 6, '0') FROM generate_series(1, c.credit_note_seq) AS n) AS n)`,
		"events that do not follow each other": `SELECT invoice_id::text FROM (SELECT *, lag(to_status) OVER (PARTITION BY invoice_id ORDER BY id) AS before FROM flightbill.invoice_events) AS e
			WHERE from_status IS DISTINCT FROM before`,
		"invoices whose last event is another": `SELECT i.id::text FROM flightbill.invoices i WHERE status IS DISTINCT FROM (
			SELECT to_status FROM flightbill.invoice_events e WHERE e.invoice_id = i.id ORDER BY e.id DESC LIMIT 1)`,
		"payments that nobody made, or that are lost": `SELECT coalesce(number, w.n) FROM
			(SELECT number, count(*) FILTER (WHERE to_status = 'PAID' AND note LIKE 'paid on %') AS paid, count(*) FILTER (WHERE from_status = 'PAID' AND to_status = 'PENDING') AS unpaid,
				count(*) FILTER (WHERE to_status = 'VOID') AS void FROM flightbill.invoice_events e JOIN flightbill.invoices i ON i.id = e.invoice_id WHERE number IS NOT NULL GROUP BY number) AS e
			FULL JOIN (SELECT number AS n, count(*) FILTER (WHERE what = 'paid') AS paid, count(*) FILTER (WHERE what = 'unpaid') AS unpaid, count(*) FILTER (WHERE what = 'void') AS void
				FROM witness.documents GROUP BY number) AS w ON w.n = e.number
			WHERE (coalesce(e.paid, 0), coalesce(e.unpaid, 0), coalesce(e.void, 0)) <> (coalesce(w.paid, 0), coalesce(w.unpaid, 0), coalesce(w.void, 0))`,
		"runs that were not finished": `SELECT closes_on::text FROM flightbill.billing_runs WHERE finished_at IS NULL`,
		"parked drafts":               `SELECT id || ': ' || parked_reason FROM flightbill.invoices WHERE parked_at IS NOT NULL`,
	} {
		rows, err := b.h.admin.Query(t.Context(), sql)
		require.NoError(t, err, what)
		found, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err, what)
		if len(found) > 0 {
			b.faultf("%s: %d, the first %v", what, len(found), found[:min(10, len(found))])
		}
	}
}
