package bank_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/bank"
)

// numbers is what a text means, of the numbers that are there.
func numbers(text string, there ...string) (sure, unclear []string) {
	codes := map[string]bool{}
	for _, number := range there {
		code := number[:strings.LastIndex(number, "-")]
		codes[code] = true
	}
	var list []string
	for code := range codes {
		list = append(list, code)
	}
	found := slices.DeleteFunc(bank.NewCodes(list).Find(text), func(f bank.Found) bool { return !slices.Contains(there, f.Number) })
	return bank.Choose(found)
}

// Numbers are found as people write them, and no others.
func TestNumbersInTexts(t *testing.T) {
	t.Parallel()
	there := []string{"ACME-000001", "ACME-000012", "ACME-CN000003", "ACME-1000001", "RF-ACME-000012", "A-1.b-000007", "ME-000001", "ÜX-000001"}
	for text, want := range map[string]string{
		"ACME-000001":                           "ACME-000001",
		"acme-000001":                           "ACME-000001",
		"Acme 000001":                           "ACME-000001",
		"ACME000001":                            "ACME-000001",
		"ACME - 000001":                         "ACME-000001",
		"ACME\u2013000001":                      "ACME-000001",
		"ACME_000001/ACME.000012":               "ACME-000001 ACME-000012",
		"(ACME-000001),ACME-000012.":            "ACME-000001 ACME-000012",
		"Invoices ACME-000001+ACME-000012":      "ACME-000001 ACME-000012",
		"ACME-000012 ACME-000001 ACME-000012":   "ACME-000012 ACME-000001",
		"RG ACME-0000 12 VOM 28.02.2026":        "ACME-000012",
		"RG AC ME-000012":                       "ACME-000012",
		"ACME-000001 2026-03-12":                "ACME-000001",
		"EREF:ACME-000001;SVWZ:x":               "ACME-000001",
		"ACME-000001EUR":                        "ACME-000001",
		"acme cn 000003":                        "ACME-CN000003",
		"ACME-CN000003":                         "ACME-CN000003",
		"a1b000007":                             "A-1.b-000007",
		"A-1.B-000007":                          "A-1.b-000007",
		"RF60ACME000012":                        "ACME-000012",
		"RF60 ACME 0000 12":                     "ACME-000012",
		"RF61ACME000012":                        "", // does not check out
		"RF-ACME-000012":                        "RF-ACME-000012",
		"rf-acme-000012":                        "RF-ACME-000012",
		"RFACME000012":                          "RF-ACME-000012",
		"INV-ACME-000001":                       "ACME-000001",
		"ACME-0000001":                          "", // seven digits are another's
		"ACME-0000012":                          "",
		"ACME-00001":                            "",
		"ACME-000002":                           "",
		"XACME-000001":                          "",
		"NAME-000001":                           "",
		"ACME: 000001 and :ACME":                "",
		"ACME no. 000001":                       "",
		"":                                      "",
		"ACME-":                                 "",
		"ACME-1000001":                          "ACME-1000001",
		"ACME----000001":                        "",
		"ACME-99999999999999999999999999999999": "",
	} {
		sure, unclear := numbers(text, there...)
		require.Equal(t, want, strings.Join(sure, " "), text)
		require.Empty(t, unclear, text)
	}
}

// Where a text can mean two numbers, a person has to tell.
func TestNumbersThatAreUnclear(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, sure, unclear string }{
		{"ACME-100000 1", "", "ACME-100000 ACME-1000001"},
		{"ACME-100000", "ACME-100000", ""},
		{"ACME-1000001", "ACME-1000001", ""},
		{"RF ACME-000012", "", "RF-ACME-000012 ACME-000012"},
		{"A1000007", "", "A-1000007 A-1-000007 A1-000007"},
		{"A1-000007", "A1-000007", ""},
		{"A-1-000007", "A-1-000007", ""},
		{"A-1000007", "A-1000007", ""},
		{"a-1000007", "", "A-1000007 A-1-000007 A1-000007"},
	} {
		sure, unclear := numbers(c.text, "ACME-100000", "ACME-1000001", "RF-ACME-000012", "ACME-000012", "A-1-000007", "A1-000007", "A-1000007")
		require.Equal(t, c.sure, strings.Join(sure, " "), c.text)
		require.ElementsMatch(t, strings.Fields(c.unclear), unclear, c.text)
	}
}

func TestIBANs(t *testing.T) {
	t.Parallel()
	for account, is := range map[string]bool{
		"DE02120300000000202051": true, "de02 1203 0000 0000 2020 51": true, "CH9300762011623852957": true, "DE03120300000000202051": false,
		"30004008120001234567": false, "": false, "DE02": false,
	} {
		require.Equal(t, is, bank.IsIBAN(bank.Account(account)), account)
	}
}

func FuzzNumbers(f *testing.F) {
	for _, seed := range []string{"ACME-000001", "RF60ACME000012", "A CN 000001 a-1000001", "ａ-000001", "\xff\x00A-000001"} {
		f.Add(seed)
	}
	codes := bank.NewCodes([]string{"ACME", "A", "A-1", "A1", "RF-ACME", "CN", "A-CN"})
	f.Fuzz(func(t *testing.T, text string) {
		found := codes.Find(text)
		sure, unclear := bank.Choose(slices.Clone(found))
		for _, number := range append(sure, unclear...) {
			require.True(t, slices.ContainsFunc(found, func(f bank.Found) bool { return f.Number == number }))
			require.Regexp(t, `^[A-Z0-9-]+-(CN)?(\d{6}|[1-9]\d{6,17})$`, number)
		}
	})
}
