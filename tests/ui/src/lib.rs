//! Nothing: this is the package whose dependencies the cases have.
