package billing

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// unitCodeForm is that of UN/ECE recommendation 20, as the table tariffs has it.
var unitCodeForm = regexp.MustCompile(`^[A-Z0-9]{2,3}$`)

// unitCodes are those that charges for flights are made in. The recommendation has some 2,000.
var unitCodes = []string{
	"ANN", "C62", "CMT", "DAY", "E48", "E49", "E50", "E51", "EA", "GLL", "GRM", "GWH", "H87", "HUR", "KGM", "KMT", "KWH", "KWT", "LBR", "LS", "LTR", "MIN",
	"MON", "MTK", "MTQ", "MTR", "MWH", "NAR", "NMI", "P1", "QAN", "SEC", "SET", "SMI", "STN", "TNE", "WEE", "XBX", "XPX", "XPK", "ZZ",
}

// IsUnitCode reports whether a unit code is one of those that flights are charged in.
// Another may be right: recommendation 20 has 2,000 of them.
func IsUnitCode(code string) bool { return slices.Contains(unitCodes, code) }

const (
	maxAccount  = 64 // characters, as the table tariffs has it
	accountForm = "write the ledger's account, 64 characters at most, without control characters, or nothing for that of all revenue"
)

func isAccount(account string) bool {
	return utf8.RuneCountInString(account) <= maxAccount && !strings.ContainsFunc(account, unicode.IsControl)
}
