#![cfg_attr(fuzzing, no_main)]

wouldblock_fuzz::target!(pace);
