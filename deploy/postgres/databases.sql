-- One database each, so that no program's migrations meet another's tables.
CREATE DATABASE mlflow;
CREATE DATABASE prefect;
CREATE DATABASE ledger;
