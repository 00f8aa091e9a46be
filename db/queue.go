package db

import "regexp"

var flightID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ._:/+#@~-]{0,127}$`)

// ValidFlightID reports whether a flight of this id can be enqueued: the rule
// of the SQL function flight_id_is_valid.
func ValidFlightID(id string) bool { return flightID.MatchString(id) }
