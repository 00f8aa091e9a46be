package local

import "fmt"

// FlightsTable returns schema and configuration of a table with the columns that flightbill reads by itself. landed_at
// is not its time column: where that has no value, Pinot would store the time of loading.
func FlightsTable(name string) (schema, config []byte) {
	return fmt.Appendf(nil, flightsSchema, name), fmt.Appendf(nil, flightsConfig, name)
}

const flightsSchema = `{
	"schemaName": %q,
	"dimensionFieldSpecs": [
		{"name": "flight_id", "dataType": "STRING"},
		{"name": "callsign", "dataType": "STRING"},
		{"name": "operator", "dataType": "STRING"},
		{"name": "registration", "dataType": "STRING"},
		{"name": "aircraft_type", "dataType": "STRING"},
		{"name": "mtow_kg", "dataType": "INT"},
		{"name": "origin", "dataType": "STRING"},
		{"name": "destination", "dataType": "STRING"},
		{"name": "distance_km", "dataType": "DOUBLE"},
		{"name": "passengers", "dataType": "INT"}
	],
	"dateTimeFieldSpecs": [
		{"name": "departed_at", "dataType": "TIMESTAMP", "format": "1:MILLISECONDS:TIMESTAMP", "granularity": "1:MILLISECONDS"},
		{"name": "landed_at", "dataType": "TIMESTAMP", "format": "1:MILLISECONDS:TIMESTAMP", "granularity": "1:MILLISECONDS"}
	]
}`

const flightsConfig = `{
	"tableName": %q,
	"tableType": "OFFLINE",
	"segmentsConfig": {"replication": "1"},
	"tenants": {"broker": "DefaultTenant", "server": "DefaultTenant"},
	"tableIndexConfig": {"loadMode": "MMAP", "invertedIndexColumns": ["flight_id"], "bloomFilterColumns": ["flight_id"]},
	"ingestionConfig": {"batchIngestionConfig": {"segmentIngestionType": "APPEND", "segmentIngestionFrequency": "DAILY"}},
	"metadata": {}
}`
