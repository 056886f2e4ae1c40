# Turns records (see records.sh) into a psql script, by the way given with -v by=copy, batch or save, and -v per=
# records a statement. Every statement is a transaction of its own.

function sql(text) { gsub(/\047/, "\047\047", text); return "\047" text "\047" }

function json(text) { gsub(/\\/, "&&", text); gsub(/"/, "\\\"", text); return "\"" text "\"" }

function copy(text) { gsub(/\\/, "&&", text); return text == "" ? "\\N" : text }

function begin_statement() {
    if (by == "copy")
        print "COPY trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository,\n" \
              "                         request_body_hash, \"timestamp\") FROM STDIN;"
    else if (by == "batch")
        print "SELECT count(*) FROM trustlog.save_batch(\047["
}

function end_statement() {
    if (by == "copy") print "\\."
    else if (by == "batch") print "]\047);"
}

BEGIN { FS = "\t" }

(NR - 1) % per == 0 { if (NR > 1) end_statement(); begin_statement() }

by == "copy" {
    printf "%s\t%s\t%s\t%s\tDOIP\t%s\t%s\t%s\t%s\n", copy($1), copy($2), copy($3), $4, $5, $6, copy($7), $8
}

by == "batch" {
    object = "{\"op_id\": " json($1) ", \"op_actor\": " json($2) ", \"doid\": " json($3) ", \"producer_id\": " json($4) \
        ", \"op_source\": \"DOIP\", \"op_code\": " $5 ", \"do_repository\": " json($6) \
        ($7 == "" ? "" : ", \"request_body_hash\": " json($7)) ", \"timestamp\": " json($8) "}"
    gsub(/\047/, "\047\047", object)
    print ((NR - 1) % per == 0 ? " " : ",") object
}

by == "save" {
    print "SELECT * FROM trustlog.save(" sql($1) ", " sql($2) ", " sql($3) ", " sql($4) ", \047DOIP\047, " $5 ", " sql($6) \
        ", op_time => " sql($8) ($7 == "" ? "" : ", request_body_hash => " sql($7)) ");"
}

END { if (NR > 0) end_statement() }
