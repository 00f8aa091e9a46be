package imports_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/db/imports"
)

const customersWithOperators = "code,name,operators,aircraft,billing_frequency,week_ends_on,payment_terms_days,billing_hold"

func TestCustomersAbsentColumnChangesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.load(imports.Customers, 2, 0, 0, customersWithOperators,
		"ACME,Acme,AAA AAB,N1 N2,weekly,7,14,true",
		"BETA,Beta,BBB,,monthly,,45,false")
	before := b.snapshot()
	b.load(imports.Customers, 0, 0, 2, "code", "ACME", "BETA")
	b.load(imports.Customers, 0, 0, 1, "code,billing_hold,payment_terms_days", "ACME,,")
	require.Equal(t, before, b.snapshot())

	b.load(imports.Customers, 0, 1, 1, "code,payment_terms_days", "ACME,21", "BETA,45")
	b.expect(`SELECT code, name, billing_frequency, week_ends_on, payment_terms_days, billing_hold FROM customers ORDER BY code`,
		"(ACME,Acme,weekly,7,21,t)", "(BETA,Beta,monthly,,45,f)")
	b.expect(`SELECT operator, c.code FROM customer_operators o JOIN customers c ON c.id = o.customer_id ORDER BY operator`,
		"(AAA,ACME)", "(AAB,ACME)", "(BBB,BETA)")
	b.expect(`SELECT registration, c.code FROM customer_aircraft a JOIN customers c ON c.id = a.customer_id ORDER BY registration`,
		"(N1,ACME)", "(N2,ACME)")
}

func TestCustomersNewOnesGetTheDefaults(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.load(imports.Customers, 1, 0, 0, "code,name,billing_frequency", "ACME,Acme,monthly")
	b.load(imports.Customers, 1, 0, 0, "code,name,billing_frequency,payment_terms_days,billing_hold", "BETA,Beta,per_flight,0,TRUE")
	b.expect(`SELECT code, payment_terms_days, billing_hold, invoice_seq FROM customers ORDER BY code`, "(ACME,30,f,0)", "(BETA,0,t,0)")
	// Changed where it was added would count it twice.
	b.load(imports.Customers, 1, 0, 0, "code,name,operators,billing_frequency,payment_terms_days", "GAMA,Gamma,GGG,monthly,7")
}

func TestCustomersFrequencyAndWeekEnd(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.load(imports.Customers, 1, 0, 0, "code,name,billing_frequency,week_ends_on", "ACME,Acme,weekly,7")
	b.load(imports.Customers, 0, 1, 0, "code,week_ends_on", "ACME,5")
	b.load(imports.Customers, 0, 1, 0, "code,billing_frequency", "ACME,monthly")
	b.expect(`SELECT billing_frequency, week_ends_on FROM customers`, "(monthly,)")

	b.refuse(imports.Customers, "code,billing_frequency\nACME,weekly\n", "line 2", "column week_ends_on is empty")
	b.refuse(imports.Customers, "code,week_ends_on\nACME,3\n", "line 2", `column week_ends_on: "3"`, "monthly")
	b.refuse(imports.Customers, "code,billing_frequency,week_ends_on\nACME,weekly,\n", "line 2", "column week_ends_on is empty")
	b.refuse(imports.Customers, "code,billing_frequency,week_ends_on\nACME,weekly,8\n", "line 2", `column week_ends_on: "8"`)
}

func TestCustomersOperatorsAndAircraftReplaceTheSet(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.load(imports.Customers, 2, 0, 0, customersWithOperators,
		"ACME,Acme,AAA AAB,N1,weekly,7,30,false",
		"BETA,Beta,BBB,N2,monthly,,30,false")
	b.load(imports.Customers, 0, 1, 1, "code,operators", "ACME, AAB  AAC AAB ", "BETA,BBB")
	b.expect(`SELECT operator FROM customer_operators ORDER BY operator`, "(AAB)", "(AAC)", "(BBB)")
	b.load(imports.Customers, 0, 1, 0, "code,aircraft", "BETA,")
	b.expect(`SELECT registration FROM customer_aircraft`, "(N1)")
}

func TestCustomersMovesAnOperator(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.load(imports.Customers, 2, 0, 0, customersWithOperators,
		"ACME,Acme,AAA AAB,N1 N2,weekly,7,30,false",
		"BETA,Beta,BBB,,monthly,,30,false")

	b.refuse(imports.Customers, "code,operators\nBETA,BBB AAB\n", "line 2", `column operators: "AAB"`, "belongs to customer ACME", "to customer BETA")
	b.refuse(imports.Customers, "code,aircraft\nBETA,N2\n", "line 2", `column aircraft: "N2"`, "belongs to customer ACME", "to customer BETA")
	b.refuse(imports.Customers, "code,operators\nBETA,BBB AAB\nACME,AAA AAB\n", "line 3", `"AAB"`, "customer ACME here", "customer BETA in line 2")
	b.refuse(imports.Customers, "code,name,operators,billing_frequency\nGAMA,Gamma,BBB,monthly\n", "line 2", "belongs to customer BETA")

	// The line that takes it away may come after the one that gives it.
	b.load(imports.Customers, 0, 2, 0, "code,operators", "BETA,BBB AAB", "ACME,AAA")
	b.load(imports.Customers, 1, 1, 0, "code,name,operators,billing_frequency", "BETA,Beta,BBB,monthly", "GAMA,Gamma,AAB,monthly")
	b.expect(`SELECT operator, c.code FROM customer_operators o JOIN customers c ON c.id = o.customer_id ORDER BY operator`,
		"(AAA,ACME)", "(AAB,GAMA)", "(BBB,BETA)")
	b.load(imports.Customers, 0, 2, 0, "code,operators,aircraft", "ACME,BBB,", "BETA,AAA,N1 N2")
}

// One aircraft, however it is written: it has one customer on a day, and is shown as
// the file has it.
func TestCustomersAircraftInOneForm(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.load(imports.Customers, 2, 0, 0, customersWithOperators,
		"ACME,Acme,AAA,G-OWN,monthly,,30,false",
		"BETA,Beta,BBB,,monthly,,30,false")
	b.refuse(imports.Customers, "code,aircraft\nBETA,gown\n", `column aircraft: "gown"`, `"G-OWN" belongs to customer ACME`)
	b.refuse(imports.Customers, "code,aircraft\nBETA,GOWN\nACME,g-own\n", "line 3", "customer BETA in line 2")
	b.refuse(imports.Customers, "code,operators\nBETA,bbb BBB\n", "line 2", `customer BETA has it as "BBB" too`)
	b.refuse(imports.Customers, "code,aircraft\nBETA,G-NEW NA\n", "line 2", `column aircraft: "NA"`, "it names none")
	b.load(imports.Customers, 0, 1, 0, "code,aircraft", "ACME,GOWN")
	b.expect(`SELECT registration FROM customer_aircraft`, "(GOWN)")
	b.load(imports.Customers, 0, 0, 1, "code,aircraft", "ACME,GOWN")
	b.refuse(imports.Customers, "code,name,billing_frequency\nNA,a,monthly\n", `column code: "NA" says that there is nothing`)
	b.refuse(imports.Customers, "code,name,billing_frequency\nNEW,None,monthly\n", `column name: "None" says that there is nothing`)
}

// An aircraft that is sold: one file ends it here and begins it there.
func TestCustomersAircraftWithDays(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.load(imports.Customers, 2, 0, 0, customersWithOperators,
		"ACME,Acme,AAA,G-OWN G-TWO,monthly,,30,false",
		"BETA,Beta,BBB,,monthly,,30,false")
	held := func(rows ...string) {
		t.Helper()
		b.expect(`SELECT registration, valid_from, valid_to, c.code FROM customer_aircraft a JOIN customers c ON c.id = a.customer_id ORDER BY registration, valid_from NULLS FIRST`, rows...)
	}
	sale := []string{"code,aircraft", "BETA,GOWN@2026-04-01..", "ACME,G-TWO G-OWN@..2026-04-01 G-OWN@2027-01-01..2027-02-01"}
	b.refuse(imports.Customers, csvOf(sale...), "line 3", `column aircraft: "G-OWN@2027-01-01..2027-02-01"`, "customer BETA in line 2")
	sale = []string{"code,aircraft", "BETA,GOWN@2026-04-01..2027-01-01", "ACME,G-TWO G-OWN@..2026-04-01 G-OWN@2027-01-01.."}
	b.load(imports.Customers, 0, 2, 0, sale...)
	held("(G-OWN,,2026-04-01,ACME)", "(G-OWN,2027-01-01,,ACME)", "(G-TWO,,,ACME)", "(GOWN,2026-04-01,2027-01-01,BETA)")
	b.load(imports.Customers, 0, 0, 2, sale...)

	// Another file may give what has become free, and no more.
	b.load(imports.Customers, 0, 1, 0, "code,aircraft", "ACME,G-TWO G-OWN@..2026-04-01")
	b.refuse(imports.Customers, "code,name,billing_frequency,aircraft\nGAMA,Gamma,monthly,g-own\n",
		`"G-OWN@..2026-04-01" belongs to customer ACME`, `"GOWN@2026-04-01..2027-01-01" belongs to customer BETA`, "on which days it is whose")
	b.load(imports.Customers, 1, 0, 0, "code,name,billing_frequency,aircraft", "GAMA,Gamma,monthly,g-own@2027-01-01..")
	held("(G-OWN,,2026-04-01,ACME)", "(G-TWO,,,ACME)", "(GOWN,2026-04-01,2027-01-01,BETA)", "(g-own,2027-01-01,,GAMA)")

	for word, part := range map[string]string{
		"G-X@": "its days are missing", "G-X@2026-04-01": "its days are missing", "G-X@..": "its days are missing", "@..2026-04-01": "it names none",
		"G-X@2026-04-31..": `"2026-04-31" is not a date`, "G-X@..01/04/2026": "is not a date", "G-X@2026-04-01..2026-04-01": "it ends before it begins",
	} {
		b.refuse(imports.Customers, csvOf("code,aircraft", "GAMA,"+word), "line 2", `column aircraft: "`+word+`"`, part)
	}
	b.load(imports.Customers, 0, 1, 0, "code,operators", "BETA,BBB CCC@2026-01-01..")
}

func TestCustomersRepeatedRows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.load(imports.Customers, 1, 0, 1, "code,name,operators,billing_frequency", "ACME,Acme,A B,monthly", "ACME,Acme,B A,monthly")
	b.refuse(imports.Customers, "code,name\nACME,New\nACME,Newer\n", "line 3", `column code: "ACME"`, "line 2")
}

func TestCustomersRefusesWrongRows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.load(imports.Customers, 1, 0, 0, "code,name,billing_frequency", "OLD,Old,monthly")
	header := customersWithOperators + "\nGOOD,Good,GGG,,monthly,,30,\n"
	for row, parts := range map[string][]string{
		"A B,a,,,monthly,,30,":                       {`column code: "A B"`},
		",a,,,monthly,,30,":                          {"column code is empty"},
		strings.Repeat("A", 33) + ",a,,,monthly,,,":  {"column code"},
		"A,,,,monthly,,30,":                          {"column name is empty"},
		"A,a,,,,,30,":                                {"column billing_frequency is empty", "per_flight, weekly or monthly"},
		"A,a,,,Monthly,,30,":                         {`column billing_frequency: "Monthly"`},
		"A,a,,,weekly,,30,":                          {"column week_ends_on is empty", "Sunday"},
		"A,a,,,weekly,0,30,":                         {`column week_ends_on: "0"`},
		"A,a,,,monthly,1,30,":                        {`column week_ends_on: "1"`, "monthly"},
		"A,a,,,monthly,,-1,":                         {`column payment_terms_days: "-1"`},
		"A,a,,,monthly,,3651,":                       {`column payment_terms_days: "3651"`},
		"A,a,,,monthly,,30.5,":                       {`column payment_terms_days: "30.5"`},
		"A,a,,,monthly,,30,yes":                      {`column billing_hold: "yes"`, "true or false"},
		"A,a,GGG,,monthly,,30,":                      {`column operators: "GGG"`, "customer A here", "customer GOOD in line 2"},
		"A,a,,,monthly,," + strings.Repeat("9", 200): {`9"…`},
	} {
		if strings.Count(row, ",") == 6 {
			row += ","
		}
		b.refuse(imports.Customers, header+row+"\n", append(parts, "line 3")...)
	}
	b.refuse(imports.Customers, "code,billing_hold\nOLD,true\nNEW,true\n", "line 3", "customer NEW is new", "column name")
	b.refuse(imports.Customers, "code,name\nNEW,New\n", "line 2", "customer NEW is new", "column billing_frequency")
}

// What people write between several, and what would be one that nobody flies as.
func TestRefusesSeparatorsInCodes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for cell, said := range map[string]string{
		`"BAW,SHT"`: "BAW SHT", `EZY;EZS`: "EZY EZS", `A|B`: "A B", `"BAW, SHT"`: "BAW SHT", `BAW/SHT`: "BAW SHT", `BAW & SHT`: "BAW SHT", `BAW;`: "BAW",
	} {
		for _, column := range []string{"operators", "aircraft"} {
			b.refuse(imports.Customers, "code,name,billing_frequency,"+column+"\nACME,Acme,monthly,"+cell+"\n",
				"line 2: column "+column+": ", "is not usable: write spaces between several: "+said)
		}
	}
	b.load(imports.Customers, 1, 0, 0, "code,name,billing_frequency,operators,aircraft", "ACME,Acme,monthly,BAW  SHT,G-OWN N1")
	b.refuse(imports.Tariffs, csvOf("code,description,basis,airport,applies_to,band_from,band_to,unit_rate,minimum,currency,tax_rate,valid_from,valid_to", "LANDING,,per_flight,LHR;LGW,arrival,,,1,,EUR,0,2020-01-01,"), "line 2: column airport: \"LHR;LGW\" is not usable: write one airport")
}

func TestCustomersCodesInAnotherCase(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.load(imports.Customers, 2, 0, 0, "code,name,billing_frequency", "ACME,Acme,monthly", "beta,Beta,monthly")
	b.refuse(imports.Customers, "code,name,billing_frequency\nGAMA,Gamma,monthly\nacme,Acme,monthly\nBeta,Beta,monthly\n",
		`line 3: column code: "acme" is not usable: there is a customer "ACME", which differs in case only`, `line 4: column code: "Beta" is not usable: there is a customer "beta"`)
	b.refuse(imports.Customers, "code,name,billing_frequency\nGAMA,Gamma,monthly\nGama,Gamma,monthly\n",
		`line 3: column code: "Gama" is not usable: line 2 has "GAMA", which differs in case only`)
	b.load(imports.Customers, 0, 1, 1, "code,name", "ACME,Acme Ltd", "beta,Beta")
}
