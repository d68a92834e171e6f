# Heads of language models, and token frequencies.
# results/llm/heads/{model}.csv: the row of one model of the catalogue, a slash in its name written as two dashes; beside it its norms.
# results/llm/tokens/{tokenizer}/{text}/: one tokenizer and text of the config, their names written alike.

LLM = config["llm"]
# figure: (its number in the paper, what it shows)
LLM_FIGURES = {
    "fig8a_llm_overlaps": ("Fig. 8a", "mean squared overlap of heads against 1/m"),
    "llm_norms": ("not in the paper", "norms of the rows of heads"),
    "llm_excluded_rows": ("not in the paper", "rows of heads that were left out"),
    "token_frequencies": ("not in the paper", "frequency against rank of tokens"),
}


MODELS = (
    dict(
        zip(
            named_once((file_name(entry["model"]) for entry in LLM["models"]), "models"),
            LLM["models"],
        )
    )
    | FAMILY_MODELS
)
# Members with another learning rate only check the recipe's: their loss is measured, their head is not.
STUDIED = [name for name, entry in MODELS.items() if entry.get("learning_rate_factor", 1) == 1]
TOKENS = dict(
    zip(
        named_once(
            (
                f"{file_name(entry['tokenizer'])}/{file_name(entry['text'])}"
                for entry in LLM["tokens"]
            ),
            "tokens",
        ),
        LLM["tokens"],
    )
)
for entry in LLM["tokens"]:
    if entry["tokenizer"] not in ("words", "bytes") and file_name(entry["tokenizer"]) not in MODELS:
        raise WorkflowError(
            f"config: llm: tokens: tokenizer {entry['tokenizer']!r} is not words, bytes, or a model of llm: models"
        )


rule measure_head:
    input:
        lambda wildcards: checkpoint_files(wildcards.model),
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
    threads: 1
    resources:
        mem_mb=2000,
        network=lambda wildcards: int(is_remote(wildcards.model)),
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
    message:
        "Measuring the head of {wildcards.model} (log: {log})"
    shell:
        "python -m scaling.llm.overlaps {params.model} {params.measurement} --cache {params.kept:q}"
        " --attempt {params.attempt} --record-failure --norms {output.norms:q} --energies {output.energies:q} --output {output.row:q} > {log:q} 2>&1"


rule gather_heads:
    input:
        rows=expand("results/llm/heads/{model}.csv", model=STUDIED),
        norms=expand("results/llm/heads/{model}.safetensors", model=STUDIED),
        published=f"{workflow.basedir}/resources/published/fig8a_llm_overlap.csv",
    output:
        overlaps="results/tables/llm_overlaps.csv",
        norms="results/tables/llm_norms.csv",
    log:
        "logs/llm/gather_heads.log",
    conda:
        "../envs/scaling.yaml"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        source=source_fingerprint("llm/overlaps_table"),
    message:
        "Putting the heads together, measured and published (log: {log})"
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
    threads: 1
    resources:
        mem_mb=1000,
    params:
        source=source_fingerprint("llm/join"),
    message:
        "Putting the energies of heads together (log: {log})"
    shell:
        "python -m scaling.llm.join --table llm_energies --parts {input:q} --output {output} > {log} 2>&1"


rule count_tokens:
    input:
        text=lambda wildcards: (
            CORPUS.values() if wildcards.text == "python" else token_entry(wildcards)["text"]
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
    threads: 1
    resources:
        mem_mb=2000,
    params:
        text=lambda wildcards: command_options(token_entry(wildcards), "tokenizer", "text"),
        model=lambda wildcards: command_options(
            MODELS.get(wildcards.tokenizer, {}), "path", "revision"
        ),
        norms=lambda wildcards, input: command_options(
            {"norms": norms for norms in input.norms}, "norms"
        ),
        window=command_options(LLM, "rank_min", "rank_max"),
        kept=LLM["kept_heads"],
        source=source_fingerprint("llm/tokens"),
    message:
        "Counting the tokens of {wildcards.text} by {wildcards.tokenizer} (log: {log})"
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
    threads: 1
    resources:
        mem_mb=1000,
    params:
        source=source_fingerprint("llm/join"),
    message:
        "Putting the parts of {wildcards.table} together (log: {log})"
    shell:
        "python -m scaling.llm.join --table {wildcards.table} --parts {input:q} --output {output} > {log} 2>&1"


rule draw_llm_figures:
    input:
        overlaps="results/tables/llm_overlaps.csv",
        norms="results/tables/llm_norms.csv",
        frequencies="results/tables/token_frequencies.csv",
        ranks="results/tables/token_ranks.csv",
    output:
        [
            report(
                f"results/figures/{figure}.svg",
                caption=f"../report/{figure}.rst",
                category="Language models",
                labels={"figure": number, "shows": shows},
            )
            for figure, (number, shows) in LLM_FIGURES.items()
        ],
        expand("results/figures/{figure}.png", figure=LLM_FIGURES),
    log:
        "logs/figures/llm.log",
    conda:
        "../envs/scaling.yaml"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        figures=" ".join(LLM_FIGURES),
        source=source_fingerprint("figures/llm"),
    message:
        "Drawing the figures of language models' heads (log: {log})"
    shell:
        "python -m scaling.figures.llm --figure {params.figures} --overlaps {input.overlaps} --norms {input.norms}"
        " --frequencies {input.frequencies} --ranks {input.ranks} --output {output} > {log} 2>&1"


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
        "results/figures/llm_family.svg",
        "results/figures/llm_family.png",
        expand("results/figures/{figure}.{ending}", figure=LLM_FIGURES, ending=["svg", "png"]),
