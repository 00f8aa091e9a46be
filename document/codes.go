package document

import (
	"slices"
	"strings"
)

// Code lists, as the rules BR-CL-11, -14 and -25 of EN 16931 have them (May 2025).
var (
	countries = strings.Fields(`
		AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU
		CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE
		IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT
		MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM
		SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW`)

	// addressSchemes are EAS: who gave an electronic address.
	addressSchemes = strings.Fields(`
		0002 0007 0009 0037 0060 0088 0096 0097 0106 0130 0135 0142 0147 0151 0154 0158 0170 0177 0183 0184 0188 0190 0191 0192 0193 0194 0195 0196 0198 0199 0200
		0201 0202 0203 0204 0205 0208 0209 0210 0211 0212 0213 0215 0216 0217 0218 0219 0220 0221 0225 0230 0235 0240 9910 9913 9914 9915 9918 9919 9920 9922 9923
		9924 9925 9926 9927 9928 9929 9930 9931 9932 9933 9934 9935 9936 9937 9938 9939 9940 9941 9942 9943 9944 9945 9946 9947 9948 9949 9950 9951 9952 9953 9957
		9959 AN AQ AS AU EM`)

	// euCountries are those of the VAT directive.
	euCountries = strings.Fields("AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MC MT NL PL PT RO SE SI SK")
	// peppolCountries are those whose businesses get invoices by Peppol BIS Billing 3.
	peppolCountries = append(strings.Fields("CH GB IS LI NO"), euCountries...)
)

// isIDScheme reports whether a code is one of ISO 6523.
func isIDScheme(code string) bool {
	return len(code) == 4 && digits(code) && "0002" <= code && code <= "0240" && !slices.Contains([]string{"0092", "0103", "0181", "0182"}, code)
}

// vatForms are what follows the prefix of a VAT id; from VIES, and for NO from NO-R-001 of
// Peppol. A country without one has letters and digits.
var vatForms = map[string]string{
	"AT": "U[0-9]{8}", "BE": "[01][0-9]{9}", "BG": "[0-9]{9,10}", "CH": "E[0-9]{9}(MWST|TVA|IVA)?", "CY": "[0-9]{8}[A-Z]", "CZ": "[0-9]{8,10}", "DE": "[0-9]{9}",
	"DK": "[0-9]{8}", "EE": "[0-9]{9}", "EL": "[0-9]{9}", "ES": "[A-Z0-9][0-9]{7}[A-Z0-9]", "FI": "[0-9]{8}", "FR": "[A-Z0-9]{2}[0-9]{9}",
	"GB": "([0-9]{9}|[0-9]{12}|(GD|HA)[0-9]{3})", "HR": "[0-9]{11}", "HU": "[0-9]{8}", "IE": "[0-9][A-Z0-9+*][0-9]{5}[A-Z]{1,2}", "IT": "[0-9]{11}",
	"LT": "([0-9]{9}|[0-9]{12})", "LU": "[0-9]{8}", "LV": "[0-9]{11}", "MT": "[0-9]{8}", "NL": "[A-Z0-9+*]{9}B[A-Z0-9+*]{2}", "NO": "[0-9]{9}MVA", "PL": "[0-9]{10}",
	"PT": "[0-9]{9}", "RO": "[0-9]{2,10}", "SE": "[0-9]{12}", "SI": "[0-9]{8}", "SK": "[0-9]{10}", "XI": "([0-9]{9}|[0-9]{12}|(GD|HA)[0-9]{3})",
}

// ibanLengths are those of the countries that have IBANs.
var ibanLengths = map[string]int{
	"AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29, "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24,
	"DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27,
	"GT": 28, "HN": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20,
	"LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18, "NO": 15, "OM": 23, "PK": 24,
	"PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "SO": 23, "ST": 25,
	"SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20, "YE": 30,
}

func digits(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }

// idForms say whether an id is one that its scheme gives. The checks are those of Peppol
// (PEPPOL-COMMON-R040 to R050), and INSEE's for SIREN and SIRET.
var idForms = map[string]struct {
	what  string
	valid func(id string) bool
}{
	"0002": {"a SIREN of 9 digits", func(id string) bool { return len(id) == 9 && digits(id) && luhn(id) }},
	"0007": {"a Swedish organisation number of 10 digits", func(id string) bool { return len(id) == 10 && digits(id) && luhn(id) }},
	"0009": {"a SIRET of 14 digits", func(id string) bool { return len(id) == 14 && digits(id) && (luhn(id) || isLaPoste(id)) }},
	"0088": {"a GLN of 13 digits", func(id string) bool { return len(id) == 13 && digits(id) && weighted(id, 1, 3)%10 == 0 }},
	"0151": {"an ABN of 11 digits", func(id string) bool { return len(id) == 11 && digits(id) && isABN(id) }},
	"0184": {"a CVR number of 8 digits", func(id string) bool {
		return len(strings.TrimPrefix(id, "DK")) == 8 && digits(strings.TrimPrefix(id, "DK"))
	}},
	"0192": {"a Norwegian organisation number of 9 digits", func(id string) bool {
		return len(id) == 9 && digits(id) && id != "000000000" && weighted(id, 1, 2, 3, 4, 5, 6, 7, 2, 3)%11 == 0
	}},
	"0208": {"a Belgian enterprise number of 10 digits", func(id string) bool {
		return len(id) == 10 && digits(id) && 97-remainder(id[:8], 97) == remainder(id[8:], 100)
	}},
	"EM": {"an email address", isEmail},
}

// weighted sums the digits from the right, each times its weight, over and over.
func weighted(id string, weights ...int) (sum int) {
	for i := range len(id) {
		sum += int(id[len(id)-1-i]-'0') * weights[i%len(weights)]
	}
	return sum
}

func luhn(id string) bool {
	sum := 0
	for i := range len(id) {
		n := int(id[len(id)-1-i] - '0')
		if i%2 == 1 {
			n = n * 2 % 10
			if id[len(id)-1-i] > '4' {
				n++
			}
		}
		sum += n
	}
	return sum%10 == 0
}

// isLaPoste: the post's SIRETs are as many as to need all digits.
func isLaPoste(id string) bool { return strings.HasPrefix(id, "356000000") && weighted(id, 1)%5 == 0 }

func isABN(id string) bool {
	return weighted(id, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1, 10)%89 == 10 // 1 is taken from the first digit
}

// remainder divides a number of any length.
func remainder(number string, by int) (rest int) {
	for _, digit := range number {
		rest = (rest*10 + int(digit-'0')) % by
	}
	return rest
}
