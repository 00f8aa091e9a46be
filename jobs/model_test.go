package jobs_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
)

// model is a second, naive implementation of periods, late flights and holds. It
// goes through the days one by one, and shares no code with the first.
type model struct {
	nextDay   bool
	cutoff    int // days are counted from the first
	day       func(int) time.Time
	customers map[string]*modelCustomer
	invoices  map[string]*modelInvoice // by customer and closing day
}

type modelCustomer struct {
	weekday time.Weekday // the day on which the week ends; -1: monthly
	hold    bool
}

type modelInvoice struct {
	customer string
	closesOn int
	flights  []string
	issued   bool
}

func (m *model) closes(c *modelCustomer, day int) bool {
	if c.weekday < 0 {
		return m.day(day+1).Day() == 1
	}
	return m.day(day).Weekday() == c.weekday
}

func (m *model) fly(customer, flight string, landed int) {
	c := m.customers[customer]
	late := ""
	day := landed
	if !m.nextDay {
		day++
	}
	for ; !m.closes(c, day) || day <= m.cutoff; day++ {
		if m.closes(c, day) {
			late = "(late)"
		}
	}
	key := fmt.Sprint(customer, day)
	if m.invoices[key] == nil {
		m.invoices[key] = &modelInvoice{customer: customer, closesOn: day}
	}
	m.invoices[key].flights = append(m.invoices[key].flights, flight+late)
}

func (m *model) run(closesOn int) {
	m.cutoff = closesOn
	for _, i := range m.invoices {
		if i.closesOn <= closesOn && !m.customers[i.customer].hold {
			i.issued = true
		}
	}
}

func (m *model) String() string {
	var lines []string
	for _, i := range m.invoices {
		status := "DRAFT"
		if i.issued {
			status = "PENDING"
		}
		slices.Sort(i.flights)
		lines = append(lines, fmt.Sprint(i.customer, " ", m.day(i.closesOn).Format(time.DateOnly), " ", status, " ", strings.Join(i.flights, ",")))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// Customers are added, put on hold, released, and change their frequency in
// mid-period, at random, while flights land, early, in time and late, and runs
// pass or are missed. The database and the model have the same invoices
// throughout.
func TestInvoicesAgainstANaiveModel(t *testing.T) {
	t.Parallel()
	for i := range 8 {
		seed := rand.Uint64()
		t.Run(fmt.Sprintf("%d, seed %d", i, seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 0))
			b := setup(t)
			first := time.Date(2026+random.IntN(10), time.Month(1+random.IntN(12)), 1+random.IntN(28), 0, 0, 0, 0, time.UTC)
			m := &model{
				nextDay: random.IntN(2) == 0, day: func(n int) time.Time { return first.AddDate(0, 0, n) },
				customers: map[string]*modelCustomer{}, invoices: map[string]*modelInvoice{},
			}
			settings := db.Settings{Close: billing.PeriodEnd, BillingStart: billing.DateOf(first, time.UTC).AddDays(1)}
			if m.nextDay {
				settings = db.Settings{Close: billing.NextDay, BillingStart: billing.DateOf(first, time.UTC).AddDays(2)}
			}
			// All that closes up to the first day counts as run.
			b.clock.Set(first)
			b.exec(t, `ALTER TABLE billing_runs DISABLE TRIGGER ALL; DELETE FROM billing_runs; ALTER TABLE billing_runs ENABLE TRIGGER ALL; DELETE FROM billing_settings`)
			_, _, err := db.ChangeSettings(t.Context(), b.owner, settings, db.Settings{}, first)
			require.NoError(t, err)

			frequency := func() (weekday time.Weekday, sql string) {
				if random.IntN(3) == 0 {
					return -1, "'monthly', NULL"
				}
				weekday = time.Weekday(random.IntN(7))
				return weekday, fmt.Sprintf("'weekly', %d", (int(weekday)+6)%7+1)
			}
			today, flights := 1, 0
			var story []string
			tell := func(format string, args ...any) {
				story = append(story, fmt.Sprintf("day %d: "+format, append([]any{today}, args...)...))
			}
			for range 250 {
				codes := slices.Sorted(maps.Keys(m.customers))
				what := random.IntN(20)
				if len(codes) == 0 {
					what = 0
				}
				var code string
				if len(codes) > 0 {
					code = codes[random.IntN(len(codes))]
				}
				switch {
				case what == 0 && len(codes) < 6:
					code = fmt.Sprintf("C%d", len(codes))
					weekday, sql := frequency()
					b.exec(t, `WITH c AS (INSERT INTO customers (code, name, billing_frequency, week_ends_on) VALUES ($1, $1, `+sql+`) RETURNING id)
						INSERT INTO customer_operators SELECT $1, id FROM c`, code)
					m.customers[code] = &modelCustomer{weekday: weekday}
					tell("%s is added, %s", code, sql)
				case what == 1:
					weekday, sql := frequency()
					b.exec(t, `UPDATE customers SET (billing_frequency, week_ends_on) = (`+sql+`) WHERE code = $1`, code)
					m.customers[code].weekday = weekday
					tell("%s becomes %s", code, sql)
				case what == 2:
					m.customers[code].hold = !m.customers[code].hold
					b.exec(t, `UPDATE customers SET billing_hold = $2 WHERE code = $1`, code, m.customers[code].hold)
					tell("%s on hold: %t", code, m.customers[code].hold)
				case what < 6: // some days pass, one run or several
					today += 1 + random.IntN(4)*random.IntN(4)
					b.clock.Set(m.day(today).Add(time.Hour))
					runDate := billing.DateOf(m.day(today), time.UTC)
					results, err := b.consolidator().Run(t.Context(), runDate, db.ByHand, nil)
					require.NoError(t, err)
					closesOn := today
					if m.nextDay {
						closesOn--
					}
					for _, r := range results {
						require.Equal(t, m.day(m.cutoff+1).Format(time.DateOnly), r.ClosesOn.String(), "runs in order, none left out")
						m.run(m.cutoff + 1)
					}
					require.Equal(t, closesOn, m.cutoff)
					tell("run")
				default:
					id := fmt.Sprintf("F%03d", flights)
					flights++
					landed := today - random.IntN(4)*random.IntN(12)
					b.billed(t, id, code, m.day(landed).Add(time.Duration(random.IntN(24))*time.Hour))
					m.fly(code, id, landed)
					tell("%s of %s landed on day %d", id, code, landed)
				}
				found := get[string](t, b, `SELECT coalesce(string_agg(line, E'\n' ORDER BY line COLLATE "C"), '') FROM (
					SELECT concat_ws(' ', u.code, i.closes_on, i.status, (SELECT string_agg(c.flight_id || CASE WHEN c.late THEN '(late)' ELSE '' END, ',' ORDER BY c.flight_id)
						FROM charges c WHERE c.invoice_id = i.id)) AS line FROM invoices i JOIN customers u ON u.id = i.customer_id) AS lines`)
				require.Equal(t, m.String(), found, strings.Join(story, "\n"))
			}
			require.Equal(t, flights, get[int](t, b, `SELECT count(*) FROM charges`), "every flight is on one invoice")
			require.Equal(t, get[int](t, b, `SELECT count(*) FROM invoices WHERE number IS NOT NULL`), get[int](t, b, `SELECT sum(invoice_seq)::int FROM customers`))
		})
	}
}
