package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCodesOfAirports(t *testing.T) {
	t.Parallel()
	airports, err := read([]byte(`"icao","iata","name","country","tz","lid"
"EGLL","LHR","London Heathrow","GB","Europe/London",""
"KAAA","","Logan County","US","America/Chicago","AAA"
"NTGA","AAA","Anaa","PF","Pacific/Tahiti",""
"KANK","","Salida","US","America/Denver","ANK"
"0CO2","CSE","Crested Butte","US","America/Denver","0CO2"
"_OUK","OUK","Outer Skerries","GB","Europe/London","EG-78"
"00AA","","Aero B Ranch","US","America/Chicago","00AA"
"UKLU","UDJ","Uzhhorod","UA","Europe/Uzhgorod",""
"KDJT","PBI","West Palm Beach","US","America/New_York","DJT"
`), []byte("City Code\nANK\n"))
	require.NoError(t, err)
	require.Equal(t, []airport{
		{[]string{"CSE", "0CO2"}, "US", "America/Denver"}, // ICAO has no code for it
		{[]string{"EGLL", "LHR"}, "GB", "Europe/London"},
		{[]string{"KAAA"}, "US", "America/Chicago"}, // its AAA is Anaa's
		{[]string{"KANK"}, "US", "America/Denver"},  // ANK is the city of Ankara
		{[]string{"KDJT", "PBI", "KPBI", "DJT"}, "US", "America/New_York"},
		{[]string{"NTGA", "AAA"}, "PF", "Pacific/Tahiti"},
		{[]string{"OUK"}, "GB", "Europe/London"}, // _OUK and EG-78 are nobody's codes
		{[]string{"UKLU", "UDJ"}, "UA", "Europe/Kyiv"},
	}, airports)

	_, err = read([]byte("icao,iata\nEGLL,LHR\n"), nil)
	require.Error(t, err)
	require.ErrorContains(t, run("main.go"), "has the SHA-256")
}
