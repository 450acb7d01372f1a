# One line for what came of a guest's tests, and one for each test that failed or was skipped.
# Variables: name, package, log_file, seconds. A test's output stands under `---- NAME stdout ----`; its first line
# that says so makes it skipped.
/^VMTEST-BEGIN / { file = $2 }
/^VMTEST-END / { if ($3 != 0) broken[++ills] = $2 " ended with " $3 }
/^VMTEST-KERNEL / { broken[++ills] = "the kernel says: " substr($0, 15) }
/^VMTEST-DONE/ { done = 1 }
/^---- .* stdout ----$/ { test = $2; counted = 0 }
/^skipped: / && !counted { counted = 1; skipped[++skips] = file ": " test ": " substr($0, 10) }
/^test .* \.\.\. FAILED$/ { broken[++ills] = file ": " $2; named++ }
/^test result: / {
    for (i = 1; i < NF; i++) {
        if ($(i + 1) == "passed;") passed += $i
        if ($(i + 1) == "failed;") failed += $i
    }
}
END {
    if (!done) broken[++ills] = "it did not come to its end"
    ill = ills || failed || passed == 0 ? "; NOT WELL, the log is " log_file : ""
    printf "vmtest: %s (%s): %d passed, %d failed, %d skipped, in %d s%s\n", name, package, passed - skips, failed, \
        skips, seconds, ill
    for (i = 1; i <= ills; i++) print "vmtest:   failed: " broken[i]
    for (i = 1; i <= skips; i++) print "vmtest:   skipped: " skipped[i]
}
