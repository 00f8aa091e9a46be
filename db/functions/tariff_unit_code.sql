-- tariff_unit_code is the unit that a tariff's quantities are in, by UN/ECE recommendation
-- 20: its own, or else what its basis counts. C62 is one, of anything.
CREATE OR REPLACE FUNCTION flightbill.tariff_unit_code(tariff flightbill.tariffs) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN coalesce(tariff.unit_code, CASE
        WHEN tariff.times IS NOT NULL THEN 'C62'
        WHEN tariff.basis = 'per_time' THEN CASE coalesce(tariff.unit, 1) WHEN 1 THEN 'MIN' WHEN 60 THEN 'HUR' END
        WHEN tariff.basis = 'per_unit' AND cardinality(tariff."of") = 1 AND tariff."of"[1] LIKE '%\_kg'
            THEN CASE coalesce(tariff.unit, 1) WHEN 1 THEN 'KGM' WHEN 1000 THEN 'TNE' END
        WHEN coalesce(tariff.unit, 1) <> 1 THEN 'C62'
        WHEN tariff.basis = 'per_km' THEN 'KMT'
        WHEN tariff.basis = 'per_tonne' AND coalesce(tariff.tonne_kg, 1000) = 1000 THEN 'TNE'
    END, 'C62');
REVOKE ALL ON FUNCTION flightbill.tariff_unit_code FROM PUBLIC;
