package pinot

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flightbill/flightbill/pinot/pinottest"
)

// day is that of the flights of these tests: 2013-01-01 in UTC.
var day = time.Date(2013, 1, 1, 0, 0, 0, 0, time.UTC)

// listAll lists the flights of a day, page by page, as id, time and rows.
func listAll(t *testing.T, s *Source, from, to time.Time) (listed []string) {
	t.Helper()
	for after := ""; ; {
		page, err := s.List(t.Context(), from, to, after)
		require.NoError(t, err)
		if len(page) == 0 {
			return listed
		}
		for _, f := range page {
			listed = append(listed, f.ID+" "+f.MovedAt.Format("02T15:04:05.000")+strings.Repeat("*", f.Rows-1))
		}
		require.Less(t, after, page[len(page)-1].ID)
		after = page[len(page)-1].ID
	}
}

const listedFields = `{
	"dimensionFieldSpecs": [
		{"name": "flight_id", "dataType": "STRING"}, {"name": "operator", "dataType": "STRING"}, {"name": "origin", "dataType": "STRING"},
		{"name": "destination", "dataType": "STRING"}, {"name": "movement", "dataType": "STRING"}, {"name": "text", "dataType": "STRING"}, {"name": "seconds", "dataType": "INT"}
	],
	"dateTimeFieldSpecs": [
		{"name": "departed_at", "dataType": "TIMESTAMP", "format": "1:MILLISECONDS:TIMESTAMP", "granularity": "1:MILLISECONDS"},
		{"name": "landed_at", "dataType": "TIMESTAMP", "format": "1:MILLISECONDS:TIMESTAMP", "granularity": "1:MILLISECONDS"},
		{"name": "millis", "dataType": "LONG", "format": "1:MILLISECONDS:EPOCH", "granularity": "1:MILLISECONDS"}
	]
}`

// listedRow is a flight whose times are there in all types that they may have.
type listedRow struct {
	ID         string `json:"flight_id"`
	Movement   string `json:"movement,omitempty"`
	DepartedAt int64  `json:"departed_at,omitempty"`
	LandedAt   int64  `json:"landed_at,omitempty"`
	Millis     int64  `json:"millis,omitempty"`
	Text       string `json:"text,omitempty"`
	Seconds    int64  `json:"seconds,omitempty"`
}

// noText is a time of no flight: for text that is none, Pinot gives no answer.
const noText = "1970-01-01 00:00:00.000"

func landedRow(id string, at time.Time) listedRow {
	return listedRow{ID: id, LandedAt: at.UnixMilli(), Millis: at.UnixMilli(), Text: at.Format("2006-01-02 15:04:05.000"), Seconds: at.Unix()}
}

func TestRealList(t *testing.T) {
	t.Parallel()
	end := day.AddDate(0, 0, 1)
	departure := func(id, movement string, departed, landed time.Time) listedRow {
		return listedRow{ID: id, Movement: movement, DepartedAt: departed.UnixMilli(), LandedAt: landed.UnixMilli(), Text: noText}
	}
	table := pinottest.Table(t, listedFields,
		pinottest.JSON(t,
			landedRow("first", day), landedRow("last", end.Add(-time.Millisecond)), landedRow("before", day.Add(-time.Millisecond)), landedRow("after", end),
			landedRow("twice", day), landedRow("it's", day), listedRow{ID: "timeless", Text: noText}, landedRow("null", day),
			departure("night", "", day.Add(-time.Hour), day.Add(time.Hour)), departure("night-arrival", "Arrival", day.Add(-time.Hour), day.Add(time.Hour)),
			departure("night-departure", "DEPARTURE", day.Add(-time.Hour), day.Add(time.Hour)), departure("departure", "departure", day.Add(time.Hour), end),
			departure("arrival", "arrival", day.Add(time.Hour), end), departure("strange", "both", day.Add(time.Hour), end),
		),
		pinottest.JSON(t, landedRow("twice", day.Add(time.Minute)), landedRow("Upper", day)),
	)
	const columns = "callsign=,registration=,aircraft_type=,mtow_kg=,distance_km=,passengers="
	want := []string{
		"Upper 01T00:00:00.000", "departure 01T01:00:00.000", "first 01T00:00:00.000", "it's 01T00:00:00.000", "last 01T23:59:59.999",
		"night 01T01:00:00.000", "night-arrival 01T01:00:00.000", "strange 01T01:00:00.000", "twice 01T00:00:00.000*",
	}
	s := realSource(t, Config{Table: table, Columns: columns})
	listed := listAll(t, s, day, end)
	require.Len(t, listed, len(want))
	for i := range want {
		if strings.HasPrefix(want[i], "twice") {
			require.Regexp(t, `^twice 01T00:0[01]:00.000\*$`, listed[i])
		} else {
			require.Equal(t, want[i], listed[i])
		}
	}
	n, err := s.Count(t.Context(), day, end)
	require.NoError(t, err)
	require.EqualValues(t, 13, n, "also rows without an id, and those of which the other time is meant")
	require.Empty(t, listAll(t, s, day.AddDate(1, 0, 0), end.AddDate(1, 0, 0)))
	n, err = s.Count(t.Context(), day.AddDate(1, 0, 0), end.AddDate(1, 0, 0))
	require.NoError(t, err)
	require.Zero(t, n)

	// In pages of any size, and by expressions of any type.
	whole := []string{"Upper 01T00:00:00.000", "first 01T00:00:00.000", "it's 01T00:00:00.000", "last 01T23:59:59.999", "twice 01T00:00:00.000*"}
	for _, c := range []struct {
		mapping string
		rows    int64
	}{
		{"movement=,landed_at=millis", 2}, {"movement=,landed_at=millis", 3}, {"movement=,landed_at=millis+0.0", 4}, {"movement=,landed_at=millis * 1", 2},
		{"movement=,landed_at=FromDateTime(text, 'yyyy-MM-dd HH:mm:ss.SSS')", 1000}, {"movement=,departed_at=,flight_id=CONCAT(flight_id, '', '')" + ",landed_at=millis", 2},
		{"movement='departure',departed_at=millis", 3}, {"movement='departure',departed_at=millis,landed_at=", 2},
	} {
		s := realSource(t, Config{Table: table, Columns: columns + "," + c.mapping})
		s.listLimited.Store(c.rows)
		listed := listAll(t, s, day, end)
		i := slices.IndexFunc(listed, func(f string) bool { return strings.HasPrefix(f, "twice") })
		require.GreaterOrEqual(t, i, 0, c.mapping)
		listed[i] = strings.Replace(listed[i], "00:01", "00:00", 1)
		require.Equal(t, whole, listed, c.mapping)
	}
	// A second of INT, by arithmetic.
	s = realSource(t, Config{Table: table, Columns: columns + ",movement=,landed_at=seconds * 1000"})
	require.Contains(t, listAll(t, s, day, end), "last 01T23:59:59.000")
}

// The order is that of the bytes, over pages that end anywhere.
func TestRealListInOrder(t *testing.T) {
	t.Parallel()
	const characters = " +-./0189:@AZ_az~#"
	var rows []listedRow
	var ids []string
	for _, a := range characters[5:9] {
		for _, b := range characters {
			for _, c := range characters[1:] {
				id := string([]rune{a, b, c})
				ids, rows = append(ids, id), append(rows, landedRow(id, day))
			}
		}
	}
	slices.Sort(ids)
	segment := len(rows) / 3
	s := realSource(t, Config{
		Table:   pinottest.Table(t, listedFields, pinottest.JSON(t, rows[:segment]...), pinottest.JSON(t, rows[segment:]...)),
		Columns: "callsign=,registration=,aircraft_type=,mtow_kg=,distance_km=,passengers=",
	})
	for _, rows := range []int64{101, 1000, 5000} {
		s.listLimited.Store(rows)
		listed := listAll(t, s, day, day.AddDate(0, 0, 1))
		require.Len(t, listed, len(ids))
		for i, id := range ids {
			require.Equal(t, id, strings.TrimSuffix(listed[i], " 01T00:00:00.000"))
		}
	}
}
