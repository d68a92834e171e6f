# Heads of language models, and token frequencies.
# results/llm/heads/{model}.csv: the row of one model of the catalogue, a slash in its name written as two dashes; beside it its norms.
# results/llm/tokens/{tokenizer}/{text}/: one tokenizer and text of the config, their names written alike.

LLM = config["llm"]
MODELS = by_name(LLM["models"], ["model"], "models") | FAMILY_MODELS
# Members with another learning rate only check the recipe's: their loss is measured, their head is not.
STUDIED = [name for name, entry in MODELS.items() if entry.get("learning_rate_factor", 1) == 1]
TOKENS = by_name(LLM["tokens"], ["tokenizer", "text"], "tokens")
for entry in LLM["tokens"]:
    if entry["tokenizer"] not in ("words", "bytes") and file_name(entry["tokenizer"]) not in MODELS:
        raise WorkflowError(
            f"config: llm: tokens: tokenizer {entry['tokenizer']!r} is not words, bytes, or a model of llm: models"
        )


rule measure_head:
    input:
        lambda wildcards: local_files(MODELS[wildcards.model]),
    output:
        row="results/llm/heads/{model}.csv",
        norms="results/llm/heads/{model}.safetensors",
        energies="results/llm/energies/{model}.csv",
    log:
        "logs/llm/heads/{model}.log",
    benchmark:
        "logs/llm/heads/{model}.benchmark.tsv"
    wildcard_constraints:
        model="[^/]+",
    retries: 1
    conda:
        "../envs/scaling.yaml"
    resources:
        mem_mb=2000,
        network=lambda wildcards: int(is_remote(MODELS[wildcards.model])),
    params:
        model=lambda wildcards: command_options(
            MODELS[wildcards.model], "model", "family", "path", "revision", "vocabulary", "m"
        ),
        measurement=command_options(LLM, "pairs", "sample_rows", "seed"),
        kept=LLM["kept_heads"],
        attempt=lambda wildcards: attempt(
            f"results/llm/heads/{wildcards.model}.csv", "llm_overlaps"
        ),
        source=source_fingerprint("llm/overlaps"),
    shell:
        "python -m scaling.llm.overlaps {params.model} {params.measurement} --cache {params.kept:q}"
        " --attempt {params.attempt} --record-failure --norms {output.norms:q} --energies {output.energies:q} --output {output.row:q} > {log:q} 2>&1"


rule gather_heads:
    input:
        rows=expand("results/llm/heads/{model}.csv", model=STUDIED),
        norms=expand("results/llm/heads/{model}.safetensors", model=STUDIED),
        published=f"{PUBLISHED}/fig8a_llm_overlap.csv",
    output:
        overlaps="results/tables/llm_overlaps.csv",
        norms="results/tables/llm_norms.csv",
    log:
        "logs/llm/gather_heads.log",
    conda:
        "../envs/scaling.yaml"
    params:
        source=source_fingerprint("llm/overlaps_table"),
    shell:
        "python -m scaling.llm.overlaps_table --rows {input.rows:q} --norms {input.norms:q}"
        " --published {input.published:q} --output {output.overlaps} --norm-table {output.norms} > {log} 2>&1"


rule gather_energies:
    input:
        expand("results/llm/energies/{model}.csv", model=STUDIED),
    output:
        "results/tables/llm_energies.csv",
    log:
        "logs/llm/gather_energies.log",
    conda:
        "../envs/scaling.yaml"
    params:
        source=source_fingerprint("llm/join"),
    shell:
        "python -m scaling.llm.join --table llm_energies --parts {input:q} --output {output} > {log} 2>&1"


rule count_tokens:
    input:
        text=lambda wildcards: (
            CORPUS.values()
            if wildcards.text == "python"
            else TOKENS[f"{wildcards.tokenizer}/{wildcards.text}"]["text"]
        ),
        norms=lambda wildcards: (
            [f"results/llm/heads/{wildcards.tokenizer}.safetensors"]
            if wildcards.tokenizer in MODELS
            else []
        ),
    output:
        frequencies="results/llm/tokens/{tokenizer}/{text}/token_frequencies.csv",
        ranks="results/llm/tokens/{tokenizer}/{text}/token_ranks.csv",
    log:
        "logs/llm/tokens/{tokenizer}/{text}.log",
    wildcard_constraints:
        tokenizer="[^/]+",
        text="[^/]+",
    conda:
        "../envs/scaling.yaml"
    resources:
        mem_mb=2000,
    params:
        text=lambda wildcards: command_options(
            TOKENS[f"{wildcards.tokenizer}/{wildcards.text}"], "tokenizer", "text"
        ),
        model=lambda wildcards: command_options(
            MODELS.get(wildcards.tokenizer, {}), "path", "revision"
        ),
        norms=lambda wildcards, input: command_options(
            {"norms": norms for norms in input.norms}, "norms"
        ),
        window=command_options(LLM, "rank_min", "rank_max"),
        kept=LLM["kept_heads"],
        source=source_fingerprint("llm/tokens"),
    shell:
        "python -m scaling.llm.tokens {params.text} --files {input.text:q} {params.model} {params.norms} {params.window}"
        " --cache {params.kept:q} --record-failure"
        " --frequencies {output.frequencies:q} --ranks {output.ranks:q} > {log:q} 2>&1"


rule gather_tokens:
    input:
        expand("results/llm/tokens/{pair}/{{table}}.csv", pair=TOKENS),
    output:
        "results/tables/{table}.csv",
    log:
        "logs/llm/{table}.log",
    wildcard_constraints:
        table="token_frequencies|token_ranks",
    conda:
        "../envs/scaling.yaml"
    params:
        source=source_fingerprint("llm/join"),
    shell:
        "python -m scaling.llm.join --table {wildcards.table} --parts {input:q} --output {output} > {log} 2>&1"


rule llm:
    input:
        expand(
            "results/tables/{table}.csv",
            table=[
                "llm_overlaps",
                "llm_norms",
                "llm_energies",
                "llm_losses",
                "llm_family",
                "token_frequencies",
                "token_ranks",
            ],
        ),
        pictures(DRAWINGS["draw_llm_figures"], DRAWINGS["draw_family"]),
