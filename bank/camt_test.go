package bank_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/bank"
)

// read is a file's entries, a line each.
func read(t *testing.T, name string) (lines []string, pending bank.Pending) {
	t.Helper()
	file, err := os.Open("testdata/" + name)
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	pending, err = bank.ReadCAMT(file, func(e bank.Entry) error {
		lines = append(lines, line(e))
		return nil
	})
	require.NoError(t, err)
	return lines, pending
}

func line(e bank.Entry) string {
	text := fmt.Sprintf("%s %s %s %s %s [%s] %q %q", e.Account, e.BookedOn, e.ValueOn, e.Amount, e.Currency, e.Reference, e.Payer, e.Text)
	if e.Reversal {
		text += " reversal"
	}
	if e.Batch > 0 {
		text += fmt.Sprintf(" batch of %d", e.Batch)
	}
	return text
}

// As banks of several countries write it, in several versions.
func TestStatementsOfSeveralBanks(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		lines   []string
		pending bank.Pending
	}{
		"german.08.xml": {[]string{
			`DE58123456780123456789 2026-03-12 2026-03-13 1204.5 EUR [2026031243781000001] "Luftweg & Söhne AG" "RG ACME-0000 12 VOM 28.02.2026 ZV-4711"`,
			`DE58123456780123456789 2026-03-12 2026-03-12 100 EUR [2026031243781000002/1] "One" "ACME-000001"`,
			`DE58123456780123456789 2026-03-12 2026-03-12 200 EUR [2026031243781000002/2] "Two" "ACME-000002"`,
			`DE58123456780123456789 2026-03-12  -12.5 EUR [] "" "Entgelt"`,
		}, bank.Pending{NotBooked: 1, Zero: 1}},
		"swiss.04.xml": {[]string{
			`CH9300762011623852957 2026-03-12 2026-03-12 250.35 CHF [C6/17] "Bergflug" "RF60ACME000012 //S1/01/20170309"`,
			`CH9300762011623852957 2026-03-13  -250.35 CHF [C6/17] "" "RETURN ACME-000012" reversal`,
		}, bank.Pending{}},
		"french.02.xml": {[]string{
			`30004008120001234567 2026-03-10 2026-03-10 400 EUR [] "Aéro Été" "facture acme 000003"`,
			`30004008120001234567 2026-03-10 2026-03-10 500 EUR [] "" "ACME000004"`,
			`30004008120001234567 2026-03-11  70 EUR [] "" "ACME-000005 ACME-000006" batch of 2`,
			`30004008120001234567 2026-03-11 2026-03-11 80 EUR [] "" "" batch of 3`,
		}, bank.Pending{NotBooked: 1}},
		"envelope.13.xml": {[]string{
			`NO9386011117947 2026-03-10  10 NOK [T1] "" "ACME- 000007 ACME-000008"`,
			`NO8330001234567 2026-03-10  1.1 NOK [X] "" "Innbetaling ACME-000009"`,
		}, bank.Pending{}},
	} {
		lines, pending := read(t, name)
		require.Equal(t, want.lines, lines, name)
		require.Equal(t, want.pending, pending, name)
	}
}

const (
	statementHead = `<Document><BkToCstmrStmt><Stmt><Id>S</Id><Acct><Id><IBAN>DE1</IBAN></Id></Acct>`
	statementFoot = `</Stmt></BkToCstmrStmt></Document>`
	oneEntry      = `<Ntry><Amt Ccy="EUR">1.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts><BookgDt><Dt>2026-03-12</Dt></BookgDt><AcctSvcrRef>R</AcctSvcrRef></Ntry>`
)

func readText(text string) (entries int, err error) {
	_, err = bank.ReadCAMT(strings.NewReader(text), func(bank.Entry) error {
		entries++
		return nil
	})
	return entries, err
}

func TestMalformedStatements(t *testing.T) {
	t.Parallel()
	n, err := readText(statementHead + oneEntry + statementFoot)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	change := func(old, changed string) string {
		require.Contains(t, oneEntry, old)
		return statementHead + oneEntry + strings.Replace(oneEntry, old, changed, 1) + statementFoot
	}
	for text, part := range map[string]string{
		"":        "no account statement",
		"<a/>":    "no account statement",
		"not XML": "no account statement",
		"<Document><BkToCstmrAcctRpt/></Document>":      "it is a report of the day (CAMT.052)",
		"<Document><BkToCstmrDbtCdtNtfctn/></Document>": "it is a notification (CAMT.054)",
		statementHead + oneEntry:                        `statement "S", entry 1: the statement cannot be read: it ends within <Stmt>: is it whole?`,
		statementHead + oneEntry[:len(oneEntry)-8]:      "entry 1: the statement cannot be read",
		statementHead + oneEntry + "</BkToCstmrStmt>":   "</BkToCstmrStmt> ends what was not begun",
		"</a>": "</a> ends what was not begun",
		`<?xml version="1.0" encoding="EBCDIC-CP-FR"?>` + statementHead + statementFoot: `its encoding "EBCDIC-CP-FR" is not known`,
		change(">1.00<", ">1e5<"):                  `statement "S", entry 2: the statement cannot be read: its amount "1e5" is none`,
		change(">1.00<", ">-1.00<"):                `its amount "-1.00" is none`,
		change(">1.00<", ">.<"):                    `its amount "." is none`,
		change(">1.00<", ">1,00<"):                 `its amount "1,00" is none`,
		change(">1.00<", ">1000000000000000<"):     `its amount "1000000000000000" is none`,
		change(">1.00<", ">0.123456789012345678<"): "is none",
		change(`Ccy="EUR"`, `Ccy="Euro"`):          `its currency "Euro" is none`,
		change(` Ccy="EUR"`, ``):                   `its currency "" is none`,
		change(">CRDT<", ">CREDIT<"):               `CdtDbtInd "CREDIT" is neither`,
		change("<Sts>BOOK</Sts>", ""):              "it has no status (Sts)",
		change("2026-03-12", "12.03.2026"):         `its day "12.03.2026" is none`,
		change("2026-03-12", "2026-02-30"):         `its day "2026-02-30" is none`,
		change("<Dt>2026-03-12</Dt>", ""):          "it has no day on which it was booked (BookgDt)",
	} {
		_, err := readText(text)
		require.ErrorIs(t, err, bank.ErrMalformed, text)
		require.ErrorContains(t, err, part, text)
	}
	stop := errors.New("stop")
	_, err = bank.ReadCAMT(strings.NewReader(statementHead+oneEntry+statementFoot), func(bank.Entry) error { return stop })
	require.Equal(t, stop, err)
}

// What wants to read other files, or to fill memory, is refused.
func TestHostileStatements(t *testing.T) {
	t.Parallel()
	secret := t.TempDir() + "/secret"
	require.NoError(t, os.WriteFile(secret, []byte("SECRET"), 0o600))
	for name, text := range map[string]string{
		"external entity":      `<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file://` + secret + `">]>` + statementHead + strings.Replace(oneEntry, ">R<", ">&x;<", 1) + statementFoot,
		"entities of entities": `<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]>` + statementHead + statementFoot,
		"undeclared entity":    statementHead + strings.Replace(oneEntry, ">R<", ">&x;<", 1) + statementFoot,
		"DOCTYPE by parameter": `<!DOCTYPE a SYSTEM "http://127.0.0.1:1/a.dtd">` + statementHead + statementFoot,
		"deep":                 statementHead + strings.Repeat("<a>", 1000),
	} {
		_, err := readText(text)
		require.ErrorIs(t, err, bank.ErrMalformed, name)
		require.NotContains(t, err.Error(), "SECRET", name)
	}
	for name, hostile := range map[string]io.Reader{
		"endless text":      repeat(statementHead+`<Ntry><AcctSvcrRef>`, "a"),
		"endless attribute": repeat(statementHead+`<Ntry a="`, "a"),
		"endless tag":       repeat(statementHead+`<Ntry`, "a"),
		"endless comment":   repeat(statementHead+`<!--`, "a"),
		"endless pieces":    repeat(statementHead+`<Ntry><AcctSvcrRef>`, "a<![CDATA["+strings.Repeat("a", 2000)+"]]>"),
		"endless details":   repeat(statementHead+`<Ntry><NtryDtls>`, "<TxDtls/>"),
		"endless texts":     repeat(statementHead+`<Ntry><NtryDtls><TxDtls><RmtInf>`, "<Ustrd>"+strings.Repeat("a", 2000)+"</Ustrd>"),
		"before all":        repeat("", " "),
	} {
		_, err := bank.ReadCAMT(hostile, func(bank.Entry) error { return nil })
		require.ErrorIs(t, err, bank.ErrMalformed, name)
	}
}

// repeat is a text without end, or at least of 200 MB.
func repeat(head, part string) io.Reader {
	return io.MultiReader(strings.NewReader(head), io.LimitReader(&again{part: strings.Repeat(part, 1000)}, 200<<20))
}

type again struct {
	part string
	at   int
}

func (a *again) Read(p []byte) (n int, err error) {
	for n < len(p) {
		c := copy(p[n:], a.part[a.at:])
		n += c
		a.at = (a.at + c) % len(a.part)
	}
	return n, nil
}

// A statement is never in memory as a whole.
//
//nolint:paralleltest // other tests' memory would be counted
func TestStatementIsStreamed(t *testing.T) {
	most := func(entries int) (most uint64) {
		body := strings.Replace(oneEntry, "</Ntry>", "<NtryDtls><TxDtls><RmtInf><Ustrd>"+strings.Repeat("text ", 60)+"</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>", 1)
		text := io.MultiReader(strings.NewReader(statementHead), io.LimitReader(&again{part: body}, int64(entries*len(body))), strings.NewReader(statementFoot))
		n := 0
		var stats runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&stats)
		before := stats.HeapAlloc
		_, err := bank.ReadCAMT(text, func(bank.Entry) error {
			if n++; n%5000 == 0 {
				runtime.GC()
				runtime.ReadMemStats(&stats)
				most = max(most, stats.HeapAlloc-min(before, stats.HeapAlloc))
			}
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, entries, n)
		return most
	}
	require.Less(t, most(20_000), uint64(2<<20))
}

func FuzzReadCAMT(f *testing.F) {
	for _, name := range []string{"german.08.xml", "swiss.04.xml", "french.02.xml", "envelope.13.xml"} {
		text, err := os.ReadFile("testdata/" + name)
		require.NoError(f, err)
		f.Add(string(text))
	}
	f.Add(statementHead + oneEntry + statementFoot)
	f.Fuzz(func(t *testing.T, text string) {
		var once, twice []string
		_, err := bank.ReadCAMT(strings.NewReader(text), func(e bank.Entry) error {
			require.False(t, e.Amount.IsZero())
			require.False(t, e.BookedOn.IsZero())
			require.LessOrEqual(t, len([]rune(e.Text)), 2000)
			require.NotContains(t, line(e), "\x00")
			once = append(once, line(e)+e.MadeReference())
			return nil
		})
		if err != nil {
			require.ErrorIs(t, err, bank.ErrMalformed)
		}
		_, _ = bank.ReadCAMT(strings.NewReader(text), func(e bank.Entry) error {
			twice = append(twice, line(e)+e.MadeReference())
			return nil
		})
		require.Equal(t, once, twice)
	})
}
