//! Tests inside a server: what a client cannot see. Each runs in a transaction that is rolled back.

#[pgrx::pg_schema]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use pgrx::prelude::*;
    use trustlog_core::merkle;
    use trustlog_core::scan::ScanFrom;

    use crate::error::Error;
    use crate::log::seal::{self, Sealing};
    use crate::pg::guard::{self, Pass};
    use crate::pg::spi::{See, Statement};
    use crate::store::{leaf, outbox, state, tile};

    fn save(first: i64, last: i64) {
        static SAVE: Statement = Statement::new(
            "INSERT INTO trustlog.operation (op_id, op_actor, doid, producer_id, op_source, op_code, do_repository)
             SELECT 'op-' || i, 'actor', 'p/' || i, 'producer', 'DOIP', 1, 'repository'
               FROM pg_catalog.generate_series($1, $2) AS i",
        );
        SAVE.run(&[first.into(), last.into()]).unwrap();
    }

    fn plan_of(explain: &'static Statement, args: &[pgrx::datum::DatumWithOid]) -> String {
        explain.rows(See::Command, args, |row| row.need::<String>(1)).unwrap().join("\n")
    }

    /// The settings of a sealing session.
    fn as_sealer() {
        static SETTINGS: Statement = Statement::new(
            "SELECT pg_catalog.set_config('enable_' || name, 'off', true)
               FROM pg_catalog.unnest('{seqscan,bitmapscan,sort,hashjoin,mergejoin}'::pg_catalog.text[]) AS name",
        );
        SETTINGS.run(&[]).unwrap();
    }

    #[pg_test]
    fn a_row_refuses_a_value_of_another_type() {
        static TEXT: Statement = Statement::new("SELECT 'x'::pg_catalog.text");
        let error = TEXT.one(See::Caller, &[], |row| row.need::<i64>(1)).unwrap_err();
        assert!(matches!(error, Error::Internal { .. }), "{error}");
        let error = TEXT.one(See::Caller, &[], |row| row.need::<String>(2)).unwrap_err();
        assert!(matches!(error, Error::Internal { .. }), "{error}");
    }

    #[pg_test]
    fn a_kept_plan_refuses_arguments_of_other_types() {
        static ECHO: Statement = Statement::new("SELECT $1::pg_catalog.text");
        assert_eq!(ECHO.one(See::Caller, &["x".into()], |row| row.need::<String>(1)).unwrap(), "x");
        assert!(ECHO.one(See::Caller, &[1_i64.into()], |row| row.need::<String>(1)).is_err());
    }

    #[pg_test]
    fn reading_draws_no_transaction_id() {
        static XID: Statement = Statement::new("SELECT pg_catalog.pg_current_xact_id_if_assigned() IS NULL");
        state::gate(See::Latest).unwrap();
        tile::root(0).unwrap();
        assert!(XID.one(See::Latest, &[], |row| row.need::<bool>(1)).unwrap());
    }

    #[pg_test]
    fn an_empty_outbox_is_sealed_without_a_transaction_id() {
        static XID: Statement = Statement::new("SELECT pg_catalog.pg_current_xact_id_if_assigned() IS NULL");
        assert!(
            matches!(seal::seal_batch(ScanFrom::Start, 10, false).unwrap(), Sealing::Done(batch) if batch.taken == 0)
        );
        assert!(XID.one(See::Latest, &[], |row| row.need::<bool>(1)).unwrap());
    }

    #[pg_test]
    fn batches_make_the_same_log_as_one_tree() {
        save(1, 700);
        let mut from = ScanFrom::Start;
        for limit in [1, 255, 1, 300, 500] {
            let Sealing::Done(batch) = seal::seal_batch(from, limit, false).unwrap() else { panic!("not sealed") };
            assert!(batch.set_aside.is_empty());
            from = batch.highest.map_or(from, ScanFrom::Floor);
        }
        assert_eq!(state::size().unwrap(), 700);
        let hashes = leaf::hashes(0, 700).unwrap();
        assert_eq!(tile::root(700).unwrap(), merkle::root(&hashes));
        assert_eq!(tile::misfit(See::Latest, 700).unwrap(), None);
        assert!(tile::misfit(See::Latest, 1000).unwrap().is_some());
    }

    #[pg_test]
    fn a_row_without_a_record_is_set_aside() {
        static ORPHAN: Statement = Statement::new("INSERT INTO trustlog.outbox (seq, restored) VALUES (-5, false)");
        save(1, 2);
        ORPHAN.run(&[]).unwrap();
        let Sealing::Done(batch) = seal::seal_batch(ScanFrom::Start, 10, false).unwrap() else { panic!("not sealed") };
        assert_eq!((batch.taken, batch.sealed), (3, 2));
        assert_eq!(batch.set_aside, [(-5, "there is no such record".to_owned())]);
    }

    #[pg_test]
    fn a_record_in_the_outbox_twice_holds_up_no_other() {
        static AGAIN: Statement = Statement::new(
            "INSERT INTO trustlog.outbox (seq, restored) SELECT l.seq, false FROM trustlog.leaf l WHERE l.idx = 0",
        );
        static TWICE: Statement = Statement::new(
            "INSERT INTO trustlog.outbox (seq, restored) SELECT max(o.seq), false FROM trustlog.outbox o",
        );
        save(1, 1);
        seal::seal_batch(ScanFrom::Start, 10, false).unwrap();
        AGAIN.run(&[]).unwrap();
        save(2, 3);
        TWICE.run(&[]).unwrap();
        let Sealing::Done(batch) = seal::seal_batch(ScanFrom::Start, 10, true).unwrap() else { panic!("not sealed") };
        assert_eq!((batch.taken, batch.sealed, batch.set_aside.len()), (4, 2, 1));
    }

    #[pg_test]
    fn a_pass_is_good_once_and_ends_with_its_guard_or_a_failed_subtransaction() {
        assert!(!guard::use_pass());
        let pass = Pass::take();
        assert!(guard::use_pass() && !guard::use_pass());
        drop(pass);
        drop(Pass::take());
        assert!(!guard::use_pass());
        let leaked = std::mem::ManuallyDrop::new(Pass::take());
        Spi::run("DO $$ BEGIN PERFORM 1/0; EXCEPTION WHEN division_by_zero THEN NULL; END $$").unwrap();
        assert!(!guard::use_pass());
        drop(std::mem::ManuallyDrop::into_inner(leaked));
    }

    #[pg_test]
    fn the_queue_is_walked_in_index_order() {
        static EXPLAIN: Statement = Statement::planned_each_time(outbox::EXPLAIN_TAKE);
        save(1, 20_000);
        as_sealer();
        let plan = plan_of(&EXPLAIN, &[0_i64.into(), 10_000_i64.into()]);
        assert!(plan.contains("Index Scan using outbox_seq_idx"), "{plan}");
        assert!(plan.contains("Tid Scan on outbox"), "{plan}");
        assert!(!plan.contains("Sort") && !plan.contains("Seq Scan"), "{plan}");
    }

    #[pg_test]
    fn records_are_fetched_by_their_key() {
        static EXPLAIN: Statement = Statement::new(crate::store::operation::EXPLAIN_TO_SEAL);
        save(1, 20_000);
        as_sealer();
        let plan = plan_of(&EXPLAIN, &[vec![1_i64, 2].into()]);
        assert!(plan.contains("Index Scan using operation_pkey"), "{plan}");
        assert!(!plan.contains("Seq Scan") && !plan.contains("Hash") && !plan.contains("Sort"), "{plan}");
    }
}
