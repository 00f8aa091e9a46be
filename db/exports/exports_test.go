package exports_test

import (
	"bytes"
	"encoding/csv"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/billing"
	"github.com/flightbill/flightbill/db"
	"github.com/flightbill/flightbill/db/dbtest"
	"github.com/flightbill/flightbill/db/exports"
	"github.com/flightbill/flightbill/db/imports"
)

func TestMain(m *testing.M) { dbtest.Main(m, dbtest.Migrate) }

// testBundle is a migrated database.
type testBundle struct {
	t                        *testing.T
	owner, importer, reports *pgxpool.Pool // the owner of the tables, flightbill_accountant, flightbill_reporter
}

func setup(t *testing.T) *testBundle {
	t.Helper()
	url := dbtest.URL(t)
	open := func(url string) *pgxpool.Pool {
		pool, err := db.Open(t.Context(), url, db.Options{SearchPath: db.Schema})
		require.NoError(t, err)
		t.Cleanup(pool.Close)
		return pool
	}
	return &testBundle{t, open(url), open(dbtest.As(t, url, "flightbill_accountant")), open(dbtest.As(t, url, "flightbill_reporter"))}
}

func (b *testBundle) exec(sql string) {
	b.t.Helper()
	_, err := b.owner.Exec(b.t.Context(), sql)
	require.NoError(b.t, err)
}

func (b *testBundle) load(kind imports.Kind, lines ...string) {
	b.t.Helper()
	_, err := imports.Load(b.t.Context(), b.importer, kind, "file.csv", strings.NewReader(strings.Join(lines, "\n")+"\n"), nil)
	require.NoError(b.t, err)
}

func (b *testBundle) export(kind exports.Kind, days exports.Days) string {
	b.t.Helper()
	var out bytes.Buffer
	rows, err := exports.Export(b.t.Context(), b.reports, kind, days, &out, nil)
	require.NoError(b.t, err)
	records, err := csv.NewReader(bytes.NewReader(out.Bytes())).ReadAll()
	require.NoError(b.t, err)
	require.EqualValues(b.t, rows, len(records)-1)
	return out.String()
}

// rows is what a file of the kind changes, as text.
func (b *testBundle) rows(kind exports.Kind) (rows string) {
	b.t.Helper()
	sql := map[exports.Kind]string{
		exports.Customers: `SELECT jsonb_agg(to_jsonb(c) - 'id' || jsonb_build_object(
				'o', (SELECT jsonb_agg(to_jsonb(o) - '{id,customer_id}'::text[] ORDER BY o.operator, o.valid_from) FROM customer_operators o WHERE o.customer_id = c.id),
				'a', (SELECT jsonb_agg(to_jsonb(a) - '{id,customer_id}'::text[] ORDER BY a.registration, a.valid_from) FROM customer_aircraft a WHERE a.customer_id = c.id))
			ORDER BY c.code) FROM customers c`,
		exports.Tariffs:       `SELECT jsonb_agg(to_jsonb(t) - '{id,customer_id}'::text[] || jsonb_build_object('c', c.code) ORDER BY t.id) FROM tariffs t LEFT JOIN customers c ON c.id = t.customer_id`,
		exports.Aircraft:      `SELECT jsonb_agg(to_jsonb(a) - 'id' ORDER BY registration, valid_from) FROM aircraft a`,
		exports.AircraftTypes: `SELECT jsonb_agg(a ORDER BY aircraft_type) FROM aircraft_types a`,
		exports.Airports:      `SELECT jsonb_agg(to_jsonb(a) - 'other_codes' || jsonb_build_object('o', (SELECT jsonb_agg(o ORDER BY o COLLATE "C") FROM unnest(other_codes) AS o)) ORDER BY code) FROM airports a`,
		exports.Flights:       `SELECT jsonb_agg(f ORDER BY flight_id) FROM flights f`,
		exports.Issuer:        `SELECT to_jsonb(i) - '{id,since}'::text[] FROM issuers i ORDER BY id DESC LIMIT 1`,
		exports.Rates:         `SELECT jsonb_agg(r ORDER BY currency, in_currency, day) FROM currency_rates r`,
	}[kind]
	require.NoError(b.t, b.owner.QueryRow(b.t.Context(), `SELECT coalesce((`+sql+`)::text, '')`).Scan(&rows))
	return rows
}

const tariffHeader = "code,description,basis,customer,airport,applies_to,band_from,band_to,unit_rate,minimum,currency,tax_rate,valid_from,valid_to"

// fill gives a database something of everything, and what spreadsheets would run.
func (b *testBundle) fill() {
	b.t.Helper()
	b.load(imports.Customers, "code,name,operators,aircraft,billing_frequency,week_ends_on,payment_terms_days,billing_hold",
		`ACME,"'=HYPERLINK(""http://x""), Inc.",AAA AAB@2025-01-01..2026-01-01,G-OWN@..2026-04-01 N1,weekly,7,14,true`,
		`BETA,"+Beta, ""quoted""`+"\n"+`and more",BBB,GOWN@2026-04-01..,monthly,,45,false`,
		"GAMA,Gamma é,,,per_flight,,0,false")
	b.load(imports.Customers, "code,legal_name,street,city,postcode,subdivision,country,vat_id,legal_id,legal_id_scheme,electronic_address,electronic_address_scheme,buyer_reference,emails,language,late_interest_rate",
		`ACME,"Acme, Inc.",=1 Main St,Dublin,D01 X2,D,IE,IE6388047V,552100554,0002,ap@acme.example,EM,@PO,ap@acme.example;b@acme.example,fr,0.080`)
	b.load(imports.Issuer, "name,street,country,vat_id,contact_phone,contact_email,mail_from,iban,bic,tax_currency,language,note",
		`"=Port, Air",+1 Apron,NA,NA1234567,+353 1 234,ap@port.example,Port <bills@port.example>,IE29 AIBK 9311 5212 3456 78,aibkie2d,EUR,es,"Pay, please"`)
	b.load(imports.Rates, "currency,in_currency,day,rate", "USD,EUR,2026-03-02,0.92340", "EUR,JPY,2026-03-02,160")
	b.load(imports.Tariffs, tariffHeader+",when,of,unit,rounding,times,tonne_kg,tonne_rounding,fixed,factor,maximum,minimum_at_zero,tax_category,tax_reason,unit_code,account",
		`LAND,"=1+1, ""quoted""",per_tonne,ACME,EIDW,arrival,,136,5.50,60,EUR,0.2,2025-01-01,2026-01-01,noise_class=A|B; stand!=remote,,,,,453.59237,none,281.96,0.5,3220,yes,,,LBR,=8400`,
		`LAND,@Landing,per_tonne,,,any,,,5,,EUR,0,2025-01-01,,,,,none,,,,,,,,zero,-free,,`,
		"PARK,,per_passenger,,,any,,,0.123456789012,0,JPY,0,2020-02-29,,,,,up,,,,,,,no,standard,,C62,")
	b.load(imports.Aircraft, "registration,valid_from,valid_to,aircraft_type,mtow_kg,fact.noise_class,fact.nox", "G-OWN,,2026-04-01,A320,73500,B,8.50", "G-OWN,2026-04-01,,A320,,,-1", "N1,,,,,'=x,")
	b.load(imports.AircraftTypes, "aircraft_type,mtow_kg,fact.wake", "A320,73500,M", "C172,,-")
	b.load(imports.Airports, "code,other_codes,country,timezone", "QQAA,Q22 Q11,IE,Europe/Dublin", "QQBB,,,")
	b.load(imports.Flights, "flight_id,callsign,operator,registration,aircraft_type,mtow_kg,origin,destination,departed_at,landed_at,distance_km,passengers,movement,mtow_lb,on_block_at,off_block_at,fact.a,fact.pax_dep",
		`F1,=cmd|' /C calc'!A0,AAA,G-OWN,A320,70500,EIDW,EGLL,2025-12-31T23:10:00Z,2026-01-01T00:30:00.25Z,449.10,150,,5000,,,"two`+"\n"+`lines, ""and"" '=x",0`,
		"F2,,,,,-5,,EGLL,,2026-01-02T10:00:00Z,-1,,arrival,,2026-01-02T10:07:00Z,2026-01-02T11:14:00.000001Z,,-12.5",
		"F3,,,,,,EIDW,,2026-01-03T10:00:00Z,,,,departure,,,,-5 t,",
		"F 4,,,,,,,,,,,,,,,,,")
}

// What is exported is read back to the very same rows, and exported again as the same bytes.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	from, to := setup(t), setup(t)
	from.fill()
	// What others write by SQL, as import would not have it.
	from.exec(`INSERT INTO customer_operators (operator, customer_id) VALUES ('C C', (SELECT id FROM customers WHERE code = 'GAMA'));
		UPDATE airports SET other_codes = '{Q22,"q 11",QQAA}' WHERE code = 'QQAA';
		INSERT INTO flights (flight_id, callsign, facts) VALUES ('F5', '', '{"a": "12.50", "b": 1e3, "c": "=x\r\ny"}')`)
	for _, kind := range imports.Kinds {
		what := exports.Kind(kind)
		first := from.export(what, exports.Days{})
		for range 2 { // and again, over what is there
			_, err := imports.Load(t.Context(), to.importer, kind, "file.csv", strings.NewReader(first), nil)
			require.NoError(t, err, kind)
			require.Equal(t, first, to.export(what, exports.Days{}), kind)
		}
	}
	to = setup(t)
	from.exec(`DELETE FROM customer_operators WHERE operator = 'C C'; UPDATE airports SET other_codes = '{Q11,Q22}' WHERE code = 'QQAA'; DELETE FROM flights WHERE flight_id = 'F5'`)
	for _, kind := range imports.Kinds {
		what := exports.Kind(kind)
		to.load(kind, strings.TrimSuffix(from.export(what, exports.Days{}), "\n"))
		require.Equal(t, from.rows(what), to.rows(what), kind)
		require.NotEmpty(t, to.rows(what), kind)
	}
}

const billTo = "legal_name,street,city,postcode,subdivision,country,vat_id,legal_id,legal_id_scheme,electronic_address,electronic_address_scheme,buyer_reference,emails,language,late_interest_rate"

func TestExportedFiles(t *testing.T) {
	t.Parallel()
	b := setup(t)
	require.Equal(t, "code,name,operators,aircraft,billing_frequency,week_ends_on,payment_terms_days,billing_hold,"+billTo+"\n", b.export(exports.Customers, exports.Days{}))
	require.Equal(t, strings.Join(billing.FlightColumns, ",")+"\n", b.export(exports.Flights, exports.Days{}))
	b.fill()
	require.Equal(t, `code,name,operators,aircraft,billing_frequency,week_ends_on,payment_terms_days,billing_hold,`+billTo+`
ACME,"'=HYPERLINK(""http://x""), Inc.",AAA AAB@2025-01-01..2026-01-01,G-OWN@..2026-04-01 N1,weekly,7,14,true,"Acme, Inc.",'=1 Main St,Dublin,D01 X2,D,IE,IE6388047V,552100554,0002,ap@acme.example,EM,'@PO,ap@acme.example;b@acme.example,fr,0.08
BETA,"'+Beta, ""quoted""
and more",BBB,GOWN@2026-04-01..,monthly,,45,false,,,,,,,,,,,,,,,
GAMA,Gamma é,,,per_flight,,0,false,,,,,,,,,,,,,,,
`, b.export(exports.Customers, exports.Days{}))
	require.Equal(t, `registration,valid_from,valid_to,aircraft_type,mtow_kg,fact.noise_class,fact.nox
G-OWN,,2026-04-01,A320,73500,B,8.5
G-OWN,2026-04-01,,A320,,,-1
N1,,,,,'=x,
`, b.export(exports.Aircraft, exports.Days{}))
	require.Equal(t, `flight_id,callsign,operator,registration,aircraft_type,mtow_kg,origin,destination,departed_at,landed_at,distance_km,passengers,movement,mtow_lb,on_block_at,off_block_at,fact.a,fact.pax_dep
F 4,,,,,,,,,,,,,,,,,
F1,'=cmd|' /C calc'!A0,AAA,G-OWN,A320,70500,EIDW,EGLL,2025-12-31T23:10:00Z,2026-01-01T00:30:00.25Z,449.10,150,,5000,,,"two
lines, ""and"" '=x",0
F2,,,,,-5,,EGLL,,2026-01-02T10:00:00Z,-1,,arrival,,2026-01-02T10:07:00Z,2026-01-02T11:14:00.000001Z,,-12.5
F3,,,,,,EIDW,,2026-01-03T10:00:00Z,,,,departure,,,,'-5 t,
`, b.export(exports.Flights, exports.Days{}))
}

// The days are those of the movement, in the billing zone.
func TestExportedDays(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fill()
	ids := func(from, to string) (ids []string) {
		t.Helper()
		var days exports.Days
		for text, day := range map[string]*billing.Date{from: &days.From, to: &days.To} {
			if text != "" {
				d, err := billing.ParseDate(text)
				require.NoError(t, err)
				*day = d
			}
		}
		for _, line := range strings.Split(strings.TrimSpace(b.export(exports.Flights, days)), "\n")[1:] {
			if id, _, _ := strings.Cut(line, ","); strings.HasPrefix(id, "F") {
				ids = append(ids, id)
			}
		}
		return ids
	}
	require.Equal(t, []string{"F 4", "F1", "F2", "F3"}, ids("", ""))
	require.Equal(t, []string{"F1", "F2"}, ids("2026-01-01", "2026-01-02"))
	require.Equal(t, []string{"F3"}, ids("2026-01-03", ""))
	b.exec(`INSERT INTO billing_settings (timezone, close, billing_start) VALUES ('America/New_York', 'period_end', '2025-01-01')`)
	require.Equal(t, []string{"F1"}, ids("", "2025-12-31"))
}

func TestExportedLedgers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fill()
	b.exec(`INSERT INTO invoices (customer_id, kind, closes_on, currency)
			SELECT id, 'consolidated', closes_on, 'EUR' FROM customers, unnest('{2026-01-31,2026-02-28}'::date[]) AS closes_on WHERE code = 'BETA' ORDER BY closes_on;
		INSERT INTO billed_flights (flight_id, customer_id, landed_on, facts, billed_at) SELECT 'F1', id, '2026-01-15', '{}', now() FROM customers WHERE code = 'BETA';
		INSERT INTO charges (invoice_id, flight_id, tariff_id, code, description, quantity, unit_rate, amount, tax_rate, tax_amount, flown_on, late)
		SELECT i.id, 'F1', 1, 'LAND', '@Landing', 3, 35.80, 107.40, 0.2, 21.48, '2026-01-15', i.id = 2 FROM invoices i ORDER BY i.id;
		UPDATE invoices SET number = 'BETA-000001', status = 'PENDING', subtotal = 107.40, tax = 21.48, total = 128.88, bill_to_name = '=Beta',
			issued_at = '2026-01-31T23:30:00Z', issued_on = '2026-01-31', due_on = '2026-03-02' WHERE id = 1`)
	require.Equal(t, `number,customer,bill_to_name,kind,status,currency,subtotal,tax,total,closes_on,issued_at,issued_on,due_on,paid_at,credits,reason
BETA-000001,BETA,'=Beta,consolidated,PENDING,EUR,107.40,21.48,128.88,2026-01-31,2026-01-31T23:30:00Z,2026-01-31,2026-03-02,,,
`, b.export(exports.Invoices, exports.Days{}))
	require.Equal(t, `invoice,invoice_id,invoice_status,customer,flight_id,flown_on,code,description,quantity,unit_rate,amount,tax_rate,tax_amount,currency,late,origin,tax_category,tax_reason,unit_code,account
BETA-000001,1,PENDING,BETA,F1,2026-01-15,LAND,'@Landing,3,35.80,107.40,0.2,21.48,EUR,false,,standard,,,
,2,DRAFT,BETA,F1,2026-01-15,LAND,'@Landing,3,35.80,107.40,0.2,21.48,EUR,true,,standard,,,
`, b.export(exports.Charges, exports.Days{}))
	b.exec(`SELECT record_payment('BETA-000001', 28.88, '2026-02-10')`)
	journal := b.export(exports.Journal, exports.Days{})
	require.Contains(t, journal, "entry,day,entered_at,document,customer,what,account,code,tax_category,tax_rate,currency,debit,credit\n"+
		"invoice 1,2026-01-31,2026-01-31T23:30:00Z,BETA-000001,BETA,receivable,1200,,,,EUR,128.88,0\n"+
		"invoice 1,2026-01-31,2026-01-31T23:30:00Z,BETA-000001,BETA,revenue,4000,LAND,,,EUR,0,107.40\n")
	require.Contains(t, journal, ",BETA-000001,BETA,bank,1000,,,,EUR,28.88,0\n")
	var february exports.Days
	day, err := billing.ParseDate("2026-02-01")
	require.NoError(t, err)
	february.From = day
	require.Equal(t, 1, strings.Count(b.export(exports.Invoices, february), "\n"))
	require.Equal(t, 1, strings.Count(b.export(exports.Charges, february), "\n"))
	require.Equal(t, 3, strings.Count(b.export(exports.Journal, february), "\n"))
	_, err = exports.Export(t.Context(), b.reports, "sheep", exports.Days{}, os.Stdout, nil)
	require.ErrorContains(t, err, `cannot export "sheep"`)
}
