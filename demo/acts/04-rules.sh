# shellcheck shell=bash disable=SC2034,SC2154
# What holds whatever clients do: retries are harmless, records never change, a rollback leaves nothing.

title "Rules"
play 04-rules.sql
check_shown "saying it again is no error, and saves nothing twice" " | f"
check_shown "an op_id cannot get another content (23505), and the error says what differs" "ERROR:  23505"
check_shown "the differing field is named" "Differing fields: request_body_hash."
check_shown "records can neither be changed nor removed, not even by a superuser (55000)" \
    "ERROR:  55000: cannot UPDATE trustlog.operation"
check_shown "the same for removing" "ERROR:  55000: cannot DELETE trustlog.operation"
check "what was rolled back never was; the other record is there as it was saved" \
    "SELECT (SELECT request_body_hash = 'sha256:2c26b46b' FROM trustlog.find_by_id('order-1'))
            AND NOT EXISTS (SELECT FROM trustlog.find_by_id('order-2'))"
