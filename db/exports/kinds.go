package exports

import (
	"fmt"
	"strings"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/document"
)

// The SQL stands here since what sqlc makes of it would keep all rows in memory.
var kinds = map[Kind]file{
	Customers: {
		columns: append([]string{"code", "name", "operators", "aircraft", "billing_frequency", "week_ends_on", "payment_terms_days", "billing_hold"},
			columnNames(document.CustomerColumns)...),
		rows: `SELECT c.code, c.name, ` + held("customer_operators", "operator") + `, ` + held("customer_aircraft", "registration") + `,
			c.billing_frequency, c.week_ends_on::text, c.payment_terms_days::text, c.billing_hold::text, ` + master("c", document.CustomerColumns) + `
			FROM flightbill.customers c ORDER BY c.code`,
	},
	Tariffs: {columns: tariffColumns()},
	Aircraft: {
		columns: []string{"registration", "valid_from", "valid_to", "aircraft_type", "mtow_kg"},
		table:   "flightbill.aircraft",
		rows: `SELECT registration, valid_from::text, valid_to::text, aircraft_type, mtow_kg::text, facts::text
			FROM flightbill.aircraft ORDER BY registration, valid_from NULLS FIRST`,
	},
	AircraftTypes: {
		columns: []string{"aircraft_type", "mtow_kg"},
		table:   "flightbill.aircraft_types",
		rows:    `SELECT aircraft_type, mtow_kg::text, facts::text FROM flightbill.aircraft_types ORDER BY aircraft_type`,
	},
	Airports: {
		columns: []string{"code", "other_codes", "country", "timezone"},
		rows:    `SELECT code, array_to_string(other_codes, E'\n'), country, timezone FROM flightbill.airports ORDER BY code`,
	},
	Flights: {
		columns: billing.FlightColumns,
		days:    true,
		table:   "flightbill.flights",
		where:   whereFlown,
		rows: `SELECT flight_id, callsign, operator, registration, aircraft_type, mtow_kg::text, origin, destination,
			` + instant("departed_at") + `, ` + instant("landed_at") + `, distance_km::text, passengers::text, movement, mtow_lb::text,
			` + instant("on_block_at") + `, ` + instant("off_block_at") + `, facts::text
			FROM flightbill.flights ` + whereFlown + ` ORDER BY flight_id`,
	},
	Issuer: {
		columns: columnNames(document.IssuerColumns),
		rows:    `SELECT ` + master("i", document.IssuerColumns) + ` FROM flightbill.issuers i ORDER BY i.id DESC LIMIT 1`,
	},
	Rates: {
		columns: []string{"currency", "in_currency", "day", "rate"},
		rows:    `SELECT currency, in_currency, day::text, trim_scale(rate)::text FROM flightbill.currency_rates ORDER BY currency, in_currency, day`,
	},
	Invoices: {
		columns: []string{
			"number", "customer", "bill_to_name", "kind", "status", "currency", "subtotal", "tax", "total", "closes_on", "issued_at", "issued_on", "due_on", "paid_at", "credits", "reason",
		},
		days: true,
		rows: `SELECT i.number, c.code, i.bill_to_name, i.kind, i.status, i.currency, i.subtotal::text, i.tax::text, i.total::text, i.closes_on::text,
			` + instant("i.issued_at") + `, i.issued_on::text, i.due_on::text, ` + instant("i.paid_at") + `, o.number, i.reason
			FROM flightbill.invoices i
			JOIN flightbill.customers c ON c.id = i.customer_id
			LEFT JOIN flightbill.invoices o ON o.id = i.credits_invoice_id
			WHERE i.number IS NOT NULL AND ` + within("i.issued_on") + ` ORDER BY i.issued_at, i.id`,
	},
	Charges: {
		columns: []string{
			"invoice", "invoice_id", "invoice_status", "customer", "flight_id", "flown_on", "code", "description", "quantity", "unit_rate", "amount", "tax_rate", "tax_amount",
			"currency", "late", "origin", "tax_category", "tax_reason", "unit_code", "account",
		},
		days: true,
		rows: `SELECT i.number, i.id::text, i.status, c.code, h.flight_id, h.flown_on::text, h.code, h.description, h.quantity::text, h.unit_rate::text, h.amount::text,
			h.tax_rate::text, h.tax_amount::text, i.currency, h.late::text, h.origin,
			h.tax_category, h.tax_reason, h.unit_code, h.account
			FROM flightbill.charges h
			JOIN flightbill.invoices i ON i.id = h.invoice_id
			JOIN flightbill.customers c ON c.id = i.customer_id
			WHERE ` + within("h.flown_on") + ` ORDER BY h.id`,
	},
	Journal: {
		columns: []string{
			"entry", "day", "entered_at", "document", "customer", "what", "account", "code", "tax_category", "tax_rate", "currency", "debit", "credit",
		},
		days: true,
		rows: `SELECT entry, day::text, ` + instant("entered_at") + `, document, customer, what, account, code, tax_category, tax_rate::text, currency, debit::text, credit::text
			FROM flightbill.journal
			WHERE ` + within("day") + ` ORDER BY day, entered_at, entry, debit = 0, what, account, code, tax_category, tax_rate`,
	},
}

func columnNames(columns []document.Column) []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	return names
}

// master selects columns of master data as cells of a file.
func master(table string, columns []document.Column) string {
	cells := make([]string, len(columns))
	for i, c := range columns {
		cells[i] = table + "." + c.Name
		switch c.Name {
		case "emails":
			cells[i] = "array_to_string(" + cells[i] + ", ';')"
		case "late_interest_rate":
			cells[i] = "trim_scale(" + cells[i] + ")::text"
		}
	}
	return strings.Join(cells, ", ")
}

func tariffColumns() []string {
	columns := make([]string, len(billing.TariffColumns))
	for i, c := range billing.TariffColumns {
		columns[i] = c.Name
	}
	return columns
}

// whereFlown: the movement date, as billing has it.
var whereFlown = `WHERE ($1::date IS NULL AND $2::date IS NULL OR ` + within(localDay("CASE movement WHEN 'departure' THEN departed_at ELSE landed_at END")) + `)`

func within(day string) string {
	return fmt.Sprintf("($1::date IS NULL OR %[1]s >= $1) AND ($2::date IS NULL OR %[1]s <= $2)", day)
}

// localDay is the day of an instant in the billing zone.
func localDay(instant string) string {
	return "(" + instant + " AT TIME ZONE coalesce((SELECT s.timezone FROM flightbill.billing_settings s), 'UTC'))::date"
}

// instant writes a time in UTC, with no more decimals than it has.
func instant(column string) string {
	return `rtrim(rtrim(to_char(` + column + ` AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '0'), '.') || 'Z'`
}

// held writes a customer's operators or aircraft as a cell has them, with blanks between
// them and none within.
func held(table, column string) string {
	return fmt.Sprintf(`(SELECT string_agg(regexp_replace(h.%[2]s, '[[:space:]]', '', 'g')
			|| CASE WHEN num_nonnulls(h.valid_from, h.valid_to) > 0 THEN concat('@', h.valid_from, '..', h.valid_to) ELSE '' END,
			' ' ORDER BY h.%[2]s, h.valid_from NULLS FIRST)
		FROM flightbill.%[1]s h WHERE h.customer_id = c.id)`, table, column)
}
