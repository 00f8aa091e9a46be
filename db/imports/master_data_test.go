package imports_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db/imports"
)

const (
	billTo     = "code,name,billing_frequency,legal_name,street,city,postcode,subdivision,country,vat_id,legal_id,legal_id_scheme,electronic_address,electronic_address_scheme,buyer_reference,emails,language,late_interest_rate"
	acmeBillTo = "ACME,Acme,monthly,Acme Air GmbH,Hauptstr. 1,Berlin,10115,BE,de,DE 123.456.789,552100554,0002,9930:de,9930,PO-7,ap@acme.example; ops@acme.example;ap@acme.example,DE,0.0800"
)

// What stands on invoices: a column that the file lacks stays, an empty cell takes away,
// and no price is made anew for it.
func TestCustomersWhatStandsOnInvoices(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.load(imports.Customers, 1, 0, 0, billTo, acmeBillTo)
	b.expect(`SELECT legal_name, street, city, postcode, subdivision, country, vat_id, legal_id, legal_id_scheme, electronic_address, electronic_address_scheme,
		buyer_reference, emails, language, late_interest_rate FROM customers`,
		`("Acme Air GmbH","Hauptstr. 1",Berlin,10115,BE,DE,DE123456789,552100554,0002,9930:de,9930,PO-7,"{ap@acme.example,ops@acme.example}",de,0.08)`)
	version := b.value(`SELECT version::text FROM price_book`)
	b.load(imports.Customers, 0, 0, 1, billTo, acmeBillTo)
	b.load(imports.Customers, 0, 0, 1, "code,name", "ACME,Acme")
	b.load(imports.Customers, 0, 1, 0, "code,country,vat_id,emails", "ACME,NA,,billing@acme.example")
	b.expect(`SELECT street, country, vat_id, emails, language FROM customers`, `("Hauptstr. 1",NA,,{billing@acme.example},de)`)
	b.load(imports.Customers, 0, 1, 0, "code,legal_name,street,city,postcode,subdivision,country,legal_id,legal_id_scheme,electronic_address,electronic_address_scheme,buyer_reference,emails,language,late_interest_rate",
		"ACME"+strings.Repeat(",", 14))
	b.expect(`SELECT num_nonnulls(legal_name, street, city, postcode, subdivision, country, vat_id, legal_id, legal_id_scheme, electronic_address, electronic_address_scheme,
		buyer_reference, language, late_interest_rate), emails FROM customers`, "(0,{})")
	require.Equal(t, version, b.value(`SELECT version::text FROM price_book`))

	for header, row := range map[string]struct{ cell, want string }{
		"country":            {"Ireland", `column country: "Ireland" has 7 characters`},
		"vat_id":             {"DE12345678", `column vat_id: "DE12345678" is not usable: write DE and what a VAT id of there has after it`},
		"emails":             {"\"a@b.example,c@d.example\"", "with ; between several"},
		"language":           {"it", "write en, de, fr or es"},
		"late_interest_rate": {"8", "8 % is 0.08"},
		"street":             {"\"1 Main\x07St\"", "without control characters"},
		"legal_id_scheme":    {"0002", "column legal_id is empty: write the id too"},
		"electronic_address": {"x", "column electronic_address_scheme is empty: write the code"},
	} {
		if header == "country" { // the column is as long as its codes
			row.want = `column country: "Ireland" is not usable: write 2 characters at most`
		}
		b.refuse(imports.Customers, csvOf("code,"+header, "ACME,"+row.cell), "line 2", row.want)
	}
}

func TestIssuerFromAFile(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.load(imports.Issuer, 1, 0, 0, "name,country,iban", "Port Air,ie,IE29 AIBK 9311 5212 3456 78")
	b.load(imports.Issuer, 0, 0, 1, "name,country,iban", "Port Air,IE,IE29AIBK93115212345678")
	b.load(imports.Issuer, 0, 1, 0, "iban,note,language", ",=thanks,fr")
	b.expect(`SELECT name, country, iban, note, language FROM issuers ORDER BY id`, `("Port Air",IE,IE29AIBK93115212345678,,en)`, `("Port Air",IE,,=thanks,fr)`)
	b.refuse(imports.Issuer, csvOf("name,iban", "Port,IE29AIBK93115212345679"), "line 2: column iban", "check digits")
	b.refuse(imports.Issuer, csvOf("name", ""+`"None"`), "line 2: column name is empty: write the legal name")
	b.refuse(imports.Issuer, csvOf("name", "A", "B"), "line 3: there is one issuer", "line 2")
	b.refuse(imports.Issuer, csvOf("name,logo", "A,B"), `column "logo" is not known`)
	b.expect(`SELECT count(*) FROM issuers`, "(2)")
}

func TestRates(t *testing.T) {
	t.Parallel()
	b := setup(t)
	header := "currency,in_currency,day,rate"
	b.load(imports.Rates, 2, 0, 1, header, "usd,EUR,2026-03-02,0.92340", "GBP,EUR,2026-03-02,1.15", "USD,EUR,2026-03-02,0.9234")
	b.load(imports.Rates, 1, 1, 1, header, "USD,EUR,2026-03-02,0.9235", "GBP,EUR,2026-03-02,1.150", "USD,EUR,2026-03-03,123456789012.123456789012")
	b.expect(`SELECT currency, in_currency, day, rate FROM currency_rates ORDER BY currency, day`,
		"(GBP,EUR,2026-03-02,1.15)", "(USD,EUR,2026-03-02,0.9235)", "(USD,EUR,2026-03-03,123456789012.123456789012)")
	// As the European Central Bank has them: of all days, and of one.
	b.load(imports.Rates, 4, 0, 0, "Date,USD,JPY,CYP,GBP,", "2026-03-03,1.08,160.5,N/A,N/A,", "2026-03-02,1.0842,160.1,0.58,N/A,")
	b.load(imports.Rates, 1, 0, 2, "Date, USD, JPY, ", "03 March 2026, 1.08, 160.5, ", "04 March 2026, , 161, ")
	b.expect(`SELECT in_currency, day, rate FROM currency_rates WHERE currency = 'EUR' ORDER BY in_currency, day`,
		"(JPY,2026-03-02,160.1)", "(JPY,2026-03-03,160.5)", "(JPY,2026-03-04,161)", "(USD,2026-03-02,1.0842)", "(USD,2026-03-03,1.08)")

	for row, want := range map[string]string{
		"XXY,EUR,2026-03-02,1":               `column currency: "XXY" is not usable: write an ISO 4217 code in use`,
		"USD,,2026-03-02,1":                  "column in_currency is empty",
		"USD,usd,2026-03-02,1":               `column in_currency: "usd" is not usable: write another currency`,
		"USD,EUR,2026-02-30,1":               `column day: "2026-02-30"`,
		"USD,EUR,,1":                         "column day is empty",
		"USD,EUR,2026-03-02,":                "column rate is empty",
		"USD,EUR,2026-03-02,0":               `column rate: "0" is not usable: write what one unit is worth, above 0`,
		"USD,EUR,2026-03-02,-1":              `column rate: "-1"`,
		"USD,EUR,2026-03-02,1000000000000":   `column rate: "1000000000000"`,
		"USD,EUR,2026-03-02,1.0000000000001": `column rate: "1.0000000000001"`,
		"USD,EUR,2026-03-02,1e3":             `column rate: "1e3"`,
	} {
		b.refuse(imports.Rates, csvOf(header, "CHF,EUR,2026-03-02,1.02", row), "line 3", want)
	}
	b.refuse(imports.Rates, csvOf(header, "CHF,EUR,2026-03-02,1.02", "CHF,EUR,2026-03-02,1.03"), "line 3: line 2 has another rate of CHF in EUR on 2026-03-02")
	for _, wrong := range []string{"currency,in_currency,rate\nUSD,EUR,1\n", "Date\n2026-03-02\n", "date,day,USD\n2026-03-02,2026-03-02,1\n", "currency,in_currency,day,rate,USD\n"} {
		b.refuse(imports.Rates, wrong, "the columns must be currency, in_currency, day and rate; or Date")
	}
	b.refuse(imports.Rates, "Date,USDX\n", `column "USDX" is not known`)
	b.refuse(imports.Rates, "Date,USD\n2 Mar 26,1\n", `line 2: column date: "2 Mar 26"`)
	b.refuse(imports.Customers, "code,USD\n", `column "USD" is not known`)
}
